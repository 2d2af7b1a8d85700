//! Making a signing key.

use std::path::Path;

use crypto::SigningKey;
use serde_json::json;

use crate::args::Global;
use crate::exit::{Failure, Outcome};

pub(crate) fn keygen(global: &Global, out: &Path) -> Outcome {
    let key = SigningKey::generate()
        .map_err(|error| Failure::failed("the system gives no randomness").cause(error))?;
    key.write_file(out).map_err(|error| {
        Failure::failed(format!("cannot write {}", out.display()))
            .cause(error)
            .hint("name a file that does not exist yet")
    })?;
    let public = key.public().to_string();
    let answer = json!({"file": out, "public_key": public});
    global.output.print(&answer, |_| public.clone());
    Ok(())
}
