//! `asset`: the functions, the answers and the error messages of Fabric's sample
//! `asset-transfer-basic`, so that its users and its applications find themselves
//! at home. Amounts are Go's 64-bit `int`.
//!
//! One answer is not Go's: without assets, `GetAllAssets` gives `[]`, as the
//! sample's other languages do, where Go gives nothing at all.

use serde::{Deserialize, Serialize};

use super::{Context, Contract, ContractError, Function, json};

/// The asset-transfer contract.
#[derive(Clone, Copy, Debug)]
pub struct AssetContract;

/// An asset. The fields stand in the order of the alphabet, as in the sample.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Asset {
    #[serde(rename = "AppraisedValue")]
    appraised_value: i64,
    #[serde(rename = "Color")]
    color: String,
    #[serde(rename = "ID")]
    id: String,
    #[serde(rename = "Owner")]
    owner: String,
    #[serde(rename = "Size")]
    size: i64,
}

const ASSET_ARGS: &[&str] = &["id", "color", "size", "owner", "appraisedValue"];

const FUNCTIONS: &[Function] = &[
    Function {
        name: "InitLedger",
        args: &[],
    },
    Function {
        name: "CreateAsset",
        args: ASSET_ARGS,
    },
    Function {
        name: "ReadAsset",
        args: &["id"],
    },
    Function {
        name: "UpdateAsset",
        args: ASSET_ARGS,
    },
    Function {
        name: "DeleteAsset",
        args: &["id"],
    },
    Function {
        name: "AssetExists",
        args: &["id"],
    },
    Function {
        name: "TransferAsset",
        args: &["id", "newOwner"],
    },
    Function {
        name: "GetAllAssets",
        args: &[],
    },
];

/// The assets of `InitLedger`.
const INITIAL: [(&str, &str, i64, &str, i64); 6] = [
    ("asset1", "blue", 5, "Tomoko", 300),
    ("asset2", "red", 5, "Brad", 400),
    ("asset3", "green", 10, "Jin Soo", 500),
    ("asset4", "yellow", 10, "Max", 600),
    ("asset5", "black", 15, "Adriana", 700),
    ("asset6", "white", 15, "Michel", 800),
];

impl Contract for AssetContract {
    fn name(&self) -> &'static str {
        "asset"
    }

    fn functions(&self) -> &'static [Function] {
        FUNCTIONS
    }

    fn invoke(
        &self,
        context: &mut Context<'_>,
        function: &str,
        args: &[String],
    ) -> Result<Vec<u8>, ContractError> {
        match (function, args) {
            ("InitLedger", []) => init_ledger(context),
            ("CreateAsset", args) => {
                let asset = Asset::from_args(args)?;
                if exists(context, &asset.id)? {
                    let message = format!("the asset {} already exists", asset.id);
                    return Err(ContractError::failed(message));
                }
                asset.put(context)
            }
            ("ReadAsset", [id]) => Ok(read(context, id)?.to_json()),
            ("UpdateAsset", args) => {
                let asset = Asset::from_args(args)?;
                must_exist(context, &asset.id)?;
                asset.put(context)
            }
            ("DeleteAsset", [id]) => {
                must_exist(context, id)?;
                context.delete(id)?;
                Ok(Vec::new())
            }
            ("AssetExists", [id]) => Ok(exists(context, id)?.to_string().into_bytes()),
            ("TransferAsset", [id, new_owner]) => transfer(context, id, new_owner),
            ("GetAllAssets", []) => all(context),
            _ => unreachable!("calls are checked against the functions"),
        }
    }
}

impl Asset {
    fn from_args(args: &[String]) -> Result<Self, ContractError> {
        let [id, color, size, owner, appraised_value] = args else {
            unreachable!("calls are checked against the functions");
        };
        Ok(Self {
            size: int(2, size)?,
            appraised_value: int(4, appraised_value)?,
            color: color.clone(),
            id: id.clone(),
            owner: owner.clone(),
        })
    }

    fn to_json(&self) -> Vec<u8> {
        json(self)
    }

    fn from_json(bytes: &[u8]) -> Result<Self, ContractError> {
        serde_json::from_slice(bytes).map_err(|error| ContractError::failed(error.to_string()))
    }

    fn put(&self, context: &mut Context<'_>) -> Result<Vec<u8>, ContractError> {
        context.put(&self.id, self.to_json())?;
        Ok(Vec::new())
    }
}

/// An argument as Fabric's contract API reads an `int`: nothing is zero.
fn int(position: usize, text: &str) -> Result<i64, ContractError> {
    if text.is_empty() {
        return Ok(0);
    }
    text.parse().map_err(|_| {
        ContractError::failed(format!(
            "Error managing parameter param{position}. Conversion error. Cannot convert passed value {text} to int"
        ))
    })
}

fn init_ledger(context: &mut Context<'_>) -> Result<Vec<u8>, ContractError> {
    for (id, color, size, owner, appraised_value) in INITIAL {
        let asset = Asset {
            appraised_value,
            color: color.to_owned(),
            id: id.to_owned(),
            owner: owner.to_owned(),
            size,
        };
        asset.put(context)?;
    }
    Ok(Vec::new())
}

fn exists(context: &mut Context<'_>, id: &str) -> Result<bool, ContractError> {
    Ok(context.get(id)?.is_some())
}

fn missing(id: &str) -> ContractError {
    ContractError::failed(format!("the asset {id} does not exist"))
}

fn must_exist(context: &mut Context<'_>, id: &str) -> Result<(), ContractError> {
    if exists(context, id)? {
        Ok(())
    } else {
        Err(missing(id))
    }
}

fn read(context: &mut Context<'_>, id: &str) -> Result<Asset, ContractError> {
    let bytes = context.get(id)?.ok_or_else(|| missing(id))?;
    Asset::from_json(&bytes)
}

fn transfer(
    context: &mut Context<'_>,
    id: &str,
    new_owner: &str,
) -> Result<Vec<u8>, ContractError> {
    let mut asset = read(context, id)?;
    let old_owner = std::mem::replace(&mut asset.owner, new_owner.to_owned());
    asset.put(context)?;
    Ok(old_owner.into_bytes())
}

fn all(context: &mut Context<'_>) -> Result<Vec<u8>, ContractError> {
    let assets: Vec<Asset> = context
        .range("", "")?
        .iter()
        .map(|(_, bytes)| Asset::from_json(bytes))
        .collect::<Result<_, _>>()?;
    Ok(json(&assets))
}

#[cfg(test)]
mod tests {
    use super::super::testing::World;
    use super::*;

    const ASSET1: &str =
        r#"{"AppraisedValue":300,"Color":"blue","ID":"asset1","Owner":"Tomoko","Size":5}"#;

    #[test]
    fn init_ledger_makes_the_six_assets_of_the_sample() {
        let mut world = World::new(&AssetContract);
        assert_eq!(world.submit("GetAllAssets", &[]), "[]");
        assert_eq!(world.submit("InitLedger", &[]), "");
        let expected = [
            ASSET1,
            r#"{"AppraisedValue":400,"Color":"red","ID":"asset2","Owner":"Brad","Size":5}"#,
            r#"{"AppraisedValue":500,"Color":"green","ID":"asset3","Owner":"Jin Soo","Size":10}"#,
            r#"{"AppraisedValue":600,"Color":"yellow","ID":"asset4","Owner":"Max","Size":10}"#,
            r#"{"AppraisedValue":700,"Color":"black","ID":"asset5","Owner":"Adriana","Size":15}"#,
            r#"{"AppraisedValue":800,"Color":"white","ID":"asset6","Owner":"Michel","Size":15}"#,
        ];
        let all = world.submit("GetAllAssets", &[]);
        assert_eq!(all, format!("[{}]", expected.join(",")));
    }

    #[test]
    fn an_asset_lives_as_in_the_sample() {
        let mut world = World::new(&AssetContract);
        let create = ["asset1", "blue", "5", "Tomoko", "300"];
        assert_eq!(world.submit("AssetExists", &["asset1"]), "false");
        world.fails("ReadAsset", &["asset1"], "the asset asset1 does not exist");
        assert_eq!(world.submit("CreateAsset", &create), "");
        world.fails("CreateAsset", &create, "the asset asset1 already exists");
        assert_eq!(world.submit("AssetExists", &["asset1"]), "true");
        assert_eq!(world.submit("ReadAsset", &["asset1"]), ASSET1);
        let old_owner = world.submit("TransferAsset", &["asset1", "Christopher"]);
        assert_eq!(old_owner, "Tomoko");
        let update = ["asset1", "red", "-6", "Brad", "+350"];
        assert_eq!(world.submit("UpdateAsset", &update), "");
        assert_eq!(
            world.submit("ReadAsset", &["asset1"]),
            r#"{"AppraisedValue":350,"Color":"red","ID":"asset1","Owner":"Brad","Size":-6}"#
        );
        assert_eq!(world.submit("DeleteAsset", &["asset1"]), "");
        let missing = "the asset asset1 does not exist";
        world.fails("ReadAsset", &["asset1"], missing);
        world.fails("DeleteAsset", &["asset1"], missing);
        world.fails("TransferAsset", &["asset1", "Max"], missing);
        world.fails("UpdateAsset", &create, missing);
    }

    #[test]
    fn arguments_are_read_as_fabrics_contract_api_reads_them() {
        let mut world = World::new(&AssetContract);
        world.fails(
            "CreateAsset",
            &["asset1", "blue", "five", "Tomoko", "300"],
            "Error managing parameter param2. Conversion error. Cannot convert passed value five to int",
        );
        world.fails(
            "CreateAsset",
            &["asset1", "blue", "5", "Tomoko"],
            "Incorrect number of params. Expected 5, received 4",
        );
        let unknown = "Function Mint not found in contract asset";
        world.fails("Mint", &[], unknown);
        let too_large = "9223372036854775808";
        world.fails(
            "CreateAsset",
            &["asset1", "blue", "5", "Tomoko", too_large],
            "Error managing parameter param4. Conversion error. Cannot convert passed value 9223372036854775808 to int",
        );
        world.fails(
            "CreateAsset",
            &["", "blue", "5", "Tomoko", "300"],
            "key must not be an empty string",
        );
        world.submit("CreateAsset", &["asset1", "blue", "", "Tomoko", "300"]);
        assert!(
            world
                .submit("ReadAsset", &["asset1"])
                .ends_with("\"Size\":0}")
        );
    }

    /// Two that create the same asset must conflict, and so must a reader with a writer.
    #[test]
    fn every_function_writes_down_what_it_depends_on() {
        let mut world = World::new(&AssetContract);
        world.submit("InitLedger", &[]);
        let effects = |function: &str, args: &[&str]| {
            let (rwset, _) = world.simulate(function, args).unwrap();
            let reads: Vec<_> = rwset.reads.into_iter().map(|read| read.key).collect();
            let writes: Vec<_> = rwset.writes.into_iter().map(|write| write.key).collect();
            (reads.join(","), rwset.ranges.len(), writes.join(","))
        };
        let asset = |id| [id, "blue", "5", "Tomoko", "300"];
        let effect = |reads: &str, ranges, writes: &str| (reads.into(), ranges, writes.into());
        assert_eq!(
            effects("CreateAsset", &asset("asset9")),
            effect("asset9", 0, "asset9")
        );
        assert_eq!(
            effects("UpdateAsset", &asset("asset1")),
            effect("asset1", 0, "asset1")
        );
        assert_eq!(
            effects("TransferAsset", &["asset1", "Max"]),
            effect("asset1", 0, "asset1")
        );
        assert_eq!(
            effects("DeleteAsset", &["asset1"]),
            effect("asset1", 0, "asset1")
        );
        assert_eq!(effects("ReadAsset", &["asset1"]), effect("asset1", 0, ""));
        assert_eq!(effects("AssetExists", &["asset9"]), effect("asset9", 0, ""));
        assert_eq!(effects("GetAllAssets", &[]), effect("", 1, ""));
    }
}
