//! Truth tables, a reference that tries everything, and texts that are none.

use crypto::{SigningKey, decode, encode};
use proptest::prelude::*;

use super::*;

/// A member from words such as `org1.peer`; another `seed` is another member.
fn member(seed: u8, principal: &str) -> Identity {
    let (organisation, role) = principal.split_once('.').unwrap();
    Identity {
        name: format!("member{seed}"),
        organisation: organisation.parse().unwrap(),
        role: role.parse().unwrap(),
        key: SigningKey::from_seed(&[seed; 32]).public(),
    }
}

fn members(principals: &str) -> Vec<Identity> {
    let each = principals.split_whitespace();
    each.zip(1..).map(|(one, seed)| member(seed, one)).collect()
}

fn policy(text: &str) -> EndorsementPolicy {
    text.parse().unwrap()
}

#[test]
fn policies_are_met_by_those_they_name_and_nobody_else() {
    let one = "'org1.peer'";
    let both = "AND('org1.peer', 'org2.peer')";
    let either = "OR('org1.peer', 'org2.admin')";
    let two_of_three = "OutOf(2, 'org1.peer', 'org2.peer', 'org3.peer')";
    let nested = "AND('org1.peer', OR('org2.peer', 'org3.admin'))";
    let twice = "AND('org1.peer', 'org1.peer')";
    let shared = "AND('org1.peer', OutOf(2, 'org1.peer', 'org2.peer', 'org3.peer'))";
    let table = [
        (one, "", false),
        (one, "org1.peer", true),
        (one, "org1.client", false),
        (one, "org1.admin", false),
        (one, "org2.peer", false),
        (one, "org11.peer", false),
        (one, "org2.peer org1.peer", true),
        (both, "org1.peer", false),
        (both, "org1.peer org1.peer", false),
        (both, "org1.peer org2.peer", true),
        (either, "org2.admin", true),
        (either, "org2.peer", false),
        (two_of_three, "org3.peer", false),
        (two_of_three, "org3.peer org3.peer", false),
        (two_of_three, "org3.peer org1.peer", true),
        (nested, "org2.peer org3.admin", false),
        (nested, "org1.peer org3.peer", false),
        (nested, "org3.admin org1.peer", true),
        (twice, "org1.peer", false),
        (twice, "org1.peer org1.peer", true),
        // The one peer of org1 is needed in two places, and can stand in one.
        (shared, "org1.peer org2.peer", false),
        (shared, "org1.peer org1.peer org2.peer", true),
        (shared, "org1.peer org2.peer org3.peer", true),
    ];
    for (text, present, expected) in table {
        let met = policy(text).satisfied_by(&members(present));
        assert_eq!(met, expected, "{text} by {present:?}");
    }
}

/// Otherwise one faulty endorser could speak for as many as it takes.
#[test]
fn one_member_listed_twice_counts_once() {
    let endorser = member(1, "org1.peer");
    let mut also = endorser.clone();
    also.name = "another name".to_owned();
    let both = [endorser.clone(), also];
    assert!(!policy("AND('org1.peer', 'org1.peer')").satisfied_by(&both));
    assert!(!policy("OutOf(2, 'org1.peer', 'org1.peer', 'org2.peer')").satisfied_by(&both));
    assert!(policy("OR('org1.peer', 'org2.peer')").satisfied_by(&both));
}

/// Taking the first place a member fits into would fail here.
#[test]
fn members_are_assigned_so_that_the_policy_is_met_if_it_can_be() {
    let text = "AND(OR('org1.peer', 'org2.peer'), OR('org1.peer', 'org3.peer'))";
    assert!(policy(text).satisfied_by(&members("org1.peer org2.peer")));
    assert!(policy(text).satisfied_by(&members("org1.peer org3.peer")));
    assert!(!policy(text).satisfied_by(&members("org2.peer")));
    let text = "OutOf(2, AND('org1.peer', 'org2.peer'), AND('org1.peer', 'org3.peer'), AND('org3.peer', 'org4.peer'))";
    assert!(policy(text).satisfied_by(&members("org1.peer org2.peer org3.peer org4.peer")));
    assert!(!policy(text).satisfied_by(&members("org1.peer org2.peer org3.peer")));
}

/// Large but ordinary: the search must not be what decides.
#[test]
fn a_threshold_over_many_peers_of_few_organisations_is_counted_exactly() {
    let places: Vec<String> = (0..64).map(|i| format!("'org{}.peer'", i % 4)).collect();
    let text = format!("OutOf(22, {})", places.join(", "));
    let endorsers = |count: u8| -> Vec<Identity> {
        let one = |i: u8| member(i, &format!("org{}.peer", i % 4));
        (0..count).map(one).collect()
    };
    assert!(policy(&text).satisfied_by(&endorsers(22)));
    assert!(!policy(&text).satisfied_by(&endorsers(21)));

    let pairs: Vec<String> = (0..31)
        .map(|i| format!("AND('org{i}.peer', 'org{i}.admin')"))
        .collect();
    let text = format!("OutOf(16, {})", pairs.join(", "));
    let endorsers = |from: u8| -> Vec<Identity> {
        (from..31)
            .flat_map(|i| {
                let (peer, admin) = (format!("org{i}.peer"), format!("org{i}.admin"));
                [member(i, &peer), member(100 + i, &admin)]
            })
            .collect()
    };
    assert!(policy(&text).satisfied_by(&endorsers(15)));
    assert!(!policy(&text).satisfied_by(&endorsers(16)));
}

/// Whoever writes a policy must not be able to stop the chain with it.
#[test]
fn an_intricate_policy_is_decided_in_bounded_time() {
    let pair = |i: usize| {
        let (a, b) = (i % 7, (i * 3 + 1) % 7);
        format!("OutOf(2, 'org{a}.peer', 'org{b}.peer', 'org{b}.peer')")
    };
    let pairs: Vec<String> = (0..21).map(pair).collect();
    let text = format!("OutOf(11, {})", pairs.join(", "));
    let endorsers: Vec<_> = (0..21)
        .map(|i| member(i, &format!("org{}.peer", i % 7)))
        .collect();
    assert!(!policy(&text).satisfied_by(&endorsers));
}

fn rules() -> impl Strategy<Value = Rule> {
    let principal = (0..3_u8, prop::bool::ANY).prop_map(|(organisation, admin)| {
        Rule::Principal(Principal {
            organisation: format!("org{organisation}").parse().unwrap(),
            role: if admin { Role::Admin } else { Role::Peer },
        })
    });
    principal.prop_recursive(3, 9, 3, |inner| {
        let some = prop::collection::vec(inner, 1..4);
        prop_oneof![
            some.clone().prop_map(Rule::And),
            some.clone().prop_map(Rule::Or),
            (some, any::<prop::sample::Index>()).prop_map(|(rules, count)| {
                let count = u32::try_from(1 + count.index(rules.len())).unwrap();
                Rule::OutOf(count, rules)
            }),
        ]
    })
}

/// Whether `rule` holds when `filled` says of each of its places, from the
/// left, whether somebody stands there.
fn holds(rule: &Rule, filled: &mut impl Iterator<Item = bool>) -> bool {
    let mut count = |rules: &[Rule]| {
        let met: Vec<bool> = rules.iter().map(|rule| holds(rule, filled)).collect();
        met.into_iter().filter(|&met| met).count()
    };
    match rule {
        Rule::And(rules) => count(rules) == rules.len(),
        Rule::Or(rules) => count(rules) > 0,
        Rule::OutOf(needed, rules) => count(rules) >= usize::try_from(*needed).unwrap(),
        Rule::Principal(_) => filled.next().unwrap(),
    }
}

/// Tries every way to fill the places.
fn reference(rule: &Rule, endorsers: &[Identity]) -> bool {
    let mut places = Vec::new();
    rule.collect(&mut places);
    (0..1_u32 << places.len()).any(|filled| {
        let is_filled = |at: usize| filled >> at & 1 == 1;
        let enough = places.iter().all(|kind| {
            let used = (0..places.len()).filter(|&at| is_filled(at) && places[at] == *kind);
            let present = endorsers
                .iter()
                .filter(|each| Principal::of(each) == **kind);
            used.count() <= present.count()
        });
        enough && holds(rule, &mut (0..places.len()).map(is_filled))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_policy_is_met_exactly_when_some_assignment_meets_it(
        rule in rules(), present in prop::collection::vec((0..3_u8, prop::bool::ANY), 0..6)
    ) {
        let endorsers: Vec<_> = present
            .iter()
            .zip(1..)
            .map(|((organisation, admin), seed)| {
                let role = if *admin { "admin" } else { "peer" };
                member(seed, &format!("org{organisation}.{role}"))
            })
            .collect();
        let expected = reference(&rule, &endorsers);
        prop_assert_eq!(EndorsementPolicy { rule }.satisfied_by(&endorsers), expected);
    }

    #[test]
    fn what_is_written_reads_back(rule in rules()) {
        let policy = EndorsementPolicy { rule };
        let text = policy.to_string();
        prop_assert_eq!(&text.parse::<EndorsementPolicy>().unwrap(), &policy);
        let bytes = encode(&policy);
        prop_assert_eq!(decode::<EndorsementPolicy>(&bytes, bytes.len()).unwrap(), policy);
    }

    #[test]
    fn no_text_breaks_the_parser(text in "([ANDORutf(),'\". 0-9a-cä]| and | or | of |any){0,40}") {
        let _ = text.parse::<EndorsementPolicy>();
    }
}

#[test]
fn fabrics_spellings_are_read_and_one_is_written() {
    let written = "AND('org1.peer', OutOf(1, 'org2.peer', 'org-3.admin'))";
    for text in [
        written,
        "and('org1.peer',outof(1,'org2.peer','org-3.admin'))",
        " AND ( \"org1.peer\" , OutOf ( 1 , 'org2.peer' , \"org-3.admin\" ) ) ",
    ] {
        assert_eq!(policy(text).to_string(), written);
    }
    let json = format!("\"{written}\"");
    assert_eq!(serde_json::to_string(&policy(written)).unwrap(), json);
    let other = encode(&"and('org1.peer')".to_owned());
    assert!(decode::<EndorsementPolicy>(&other, other.len()).is_err());
}

#[test]
fn one_writes_policies_as_one_says_them() {
    let organisations = ["org1", "org2", "org3", "org4"].map(|name| name.parse().unwrap());
    let table = [
        ("org1", "'org1.peer'"),
        ("org1.admin", "'org1.admin'"),
        ("(org1)", "'org1.peer'"),
        (
            "2 of (org1, org2, org3, org4)",
            "OutOf(2, 'org1.peer', 'org2.peer', 'org3.peer', 'org4.peer')",
        ),
        (
            "org1 and (org2 or org3)",
            "AND('org1.peer', OR('org2.peer', 'org3.peer'))",
        ),
        (
            "org1 or org2 and org3 or org4",
            "OR('org1.peer', AND('org2.peer', 'org3.peer'), 'org4.peer')",
        ),
        (
            "1 of (org1 and org2, Any)",
            "OutOf(1, AND('org1.peer', 'org2.peer'), OR('org1.peer', 'org2.peer', 'org3.peer', 'org4.peer'))",
        ),
        (
            "MAJORITY",
            "OutOf(3, 'org1.peer', 'org2.peer', 'org3.peer', 'org4.peer')",
        ),
    ];
    for (text, written) in table {
        let policy = EndorsementPolicy::parse(text, &organisations).unwrap();
        assert_eq!(policy.to_string(), written, "{text}");
        assert_eq!(written.parse(), Ok(policy), "{text}");
    }
}

#[test]
fn a_policy_names_its_principals_once() {
    let policy = policy("AND('org2.peer', OR('org1.admin', 'org2.peer'))");
    let names: Vec<_> = policy
        .principals()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(names, ["'org1.admin'", "'org2.peer'"]);
}

#[test]
fn what_is_no_policy_says_why_and_where() {
    let deep = format!("{}'org1.peer'{}", "AND(".repeat(8), ")".repeat(8));
    let many = format!("OR({})", vec!["'org1.peer'"; 65].join(","));
    let long = " ".repeat(4097);
    let table = [
        (
            "",
            "expected an organisation, N of (..), any, majority or ( at byte 0 of the policy, found \"\"",
        ),
        (
            "XOR('a.peer')",
            "expected an organisation, N of (..), any, majority or ( at byte 0",
        ),
        (
            "AND()",
            "expected an organisation, N of (..), any, majority or ( at byte 4",
        ),
        ("AND('a.peer'", "expected a comma or ) at byte 12"),
        ("AND('a.peer',)", "at byte 13"),
        ("'a.peer' 'b.peer'", "expected the end at byte 9"),
        ("'a.peer", "expected the closing quote"),
        ("'a.peer\"", "is no role"),
        ("'a'", "expected organisation.role at byte 1"),
        ("'a.boss'", "\"boss\" is no role"),
        ("'A.peer'", "\"A\" cannot be an organisation's name"),
        ("OutOf('a.peer')", "expected a number at byte 6"),
        ("OutOf(0, 'a.peer')", "the number must be from 1 to 1"),
        ("OutOf(2, 'a.peer')", "2 of 1 policies"),
        (
            "OutOf(99999999999, 'a.peer')",
            "the number must be from 1 to 1",
        ),
        ("2 of (a, b", "expected a comma or ) at byte 10"),
        (
            "3 of (a, b)",
            "3 of 2 policies: the number must be from 1 to 2",
        ),
        ("two of (a, b)", "expected the end at byte 4"),
        ("a and", "at byte 5 of the policy, found \"\""),
        ("a or or b", "expected the end at byte 8"),
        ("a.boss", "at byte 0 of the policy, found \"a.boss\""),
        ("a and majority", "\"majority\" at byte 6 of the policy"),
        (&deep, "nested deeper than 8 levels"),
        (&many, "more than 64 principals"),
        (&long, "a policy of 4097 bytes"),
    ];
    for (text, expected) in table {
        let error = text.parse::<EndorsementPolicy>().unwrap_err().to_string();
        assert!(error.contains(expected), "{text:.60}: {error}");
    }
}

/// A row of the state that cannot be read again would stop every node.
#[test]
fn a_policy_that_can_be_parsed_can_be_stored() {
    let organisations = ["org1".parse().unwrap()];
    let wrap = |times: usize, inner: &str| {
        format!("{}{inner}{}", "1 of (".repeat(times), ")".repeat(times))
    };
    let wide = vec![wrap(6, "org1"); 64].join(",");
    for text in [
        // Of deeper levels and of more bytes in the one spelling than as it is said.
        &wrap(7, "org1 or org1 and org1"),
        &format!("2 of ({wide})"),
        &format!("{}org1{}", "(".repeat(7), ")".repeat(7)),
        &format!("2 of ({})", vec!["any"; 64].join(",")),
    ] {
        if let Ok(policy) = EndorsementPolicy::parse(text, &organisations) {
            let bytes = encode(&policy);
            let read = decode::<EndorsementPolicy>(&bytes, bytes.len());
            assert_eq!(read.unwrap(), policy, "{text:.60}");
        }
    }
}
