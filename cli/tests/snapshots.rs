//! What commands print, word by word, as far as it needs no network.

#[test]
fn commands_say_what_they_said_before() {
    let cases = trycmd::TestCases::new();
    cases.case("tests/cmd/*.trycmd");
}
