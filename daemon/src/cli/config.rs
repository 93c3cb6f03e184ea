//! `homeostat config`: whether a configuration can be used, what is in force, and what there is to say.

use super::output::Out;
use super::{Done, Failed};
use crate::config::{Config, Flags, Loaded};
use homeostat::analyze::strategy::Methods;
use std::path::{Path, PathBuf};

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  homeostat config check homeostat.yaml
  homeostat config show                      what `homeostat run` would use, and where each value comes from
  homeostat config show homeostat.yaml > all.yaml
  homeostat config schema > homeostat.schema.json

A flag overrides the environment, the environment the file, the file the defaults. In the environment a key is written
HOMEOSTAT__SECTION__KEY, like HOMEOSTAT__LEARNING__SENSITIVITY=3.")]
pub struct ConfigArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand)]
enum What {
    /// Say whether a configuration can be used; exit with 2 when not
    #[command(after_help = "\
Examples:
  homeostat config check homeostat.yaml
  homeostat config check && systemctl restart homeostat     without a file: environment and defaults")]
    Check(File),
    /// Print every value in force, with where it came from
    #[command(after_help = "\
Examples:
  homeostat config show homeostat.yaml
  HOMEOSTAT__LEARNING__SENSITIVITY=4 homeostat config show homeostat.yaml | grep sensitivity")]
    Show(File),
    /// Print the JSON Schema of the configuration file
    #[command(after_help = "\
Example:
  homeostat config schema > homeostat.schema.json     for an editor that completes and checks YAML by a schema")]
    Schema,
}

#[derive(clap::Args)]
struct File {
    /// The configuration file
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// The same, as `run` takes it
    #[arg(long = "config", value_name = "FILE", conflicts_with = "file")]
    config: Option<PathBuf>,
}

impl File {
    fn path(&self) -> Option<&Path> {
        self.file.as_deref().or(self.config.as_deref())
    }
}

/// Reads file, environment and flags; what is wrong there is wrong use.
pub fn load(file: Option<&Path>, flags: &Flags) -> Result<Loaded, Failed> {
    Config::load(file, crate::config::environment(), flags, &Methods::built_in().names())
        .map_err(|error| Failed::Use(error.to_string()))
}

/// The same for a start, which a calendar's file that cannot be read does not hinder.
pub fn load_to_start(file: Option<&Path>, flags: &Flags) -> Result<Loaded, Failed> {
    Config::load_to_start(file, crate::config::environment(), flags, &Methods::built_in().names())
        .map_err(|error| Failed::Use(error.to_string()))
}

pub fn config(args: &ConfigArgs, out: &Out) -> Result<Done, Failed> {
    match &args.what {
        What::Check(file) => {
            let loaded = load(file.path(), &Flags::default())?;
            tell_ignored(&loaded);
            let mut warnings = Vec::new();
            for (at, source) in loaded.config.daemon.files.iter().enumerate() {
                let path = source.path.display();
                match crate::source::feed::is_there(&source.path) {
                    Ok(true) => {}
                    Ok(false) => {
                        warnings.push(format!("files[{at}].path: {path} is not there yet; `run` waits for it"))
                    }
                    Err(error) => return Err(Failed::Use(format!("files[{at}].path: {error}"))),
                }
            }
            let calendars = loaded.config.engine.calendars.iter().enumerate();
            warnings.extend(calendars.filter_map(|(at, calendar)| crate::calendar::left_out(at, calendar)));
            warnings.iter().for_each(|warning| eprintln!("{warning}"));
            let set = loaded.provenance.written();
            match out.is_json() {
                true => out.data(&serde_json::json!({
                    "ok": true,
                    "set": set,
                    "ignored": loaded.ignored,
                    "warnings": warnings,
                }))?,
                false => {
                    let of =
                        file.path().map_or_else(|| "the configuration".to_owned(), |path| path.display().to_string());
                    out.text(&format!("{of} can be used: {set} values are set, the others are defaults"))?;
                }
            }
        }
        What::Show(file) => {
            let loaded = load(file.path(), &Flags::default())?;
            tell_ignored(&loaded);
            if out.is_json() { out.data(&loaded.to_json())? } else { out.text(&loaded.to_yaml())? }
        }
        What::Schema => out.text(
            &serde_json::to_string_pretty(&Config::schema())
                .map_err(|error| Failed::World(format!("cannot write the schema: {error}")))?,
        )?,
    }
    Ok(Done::Quietly)
}

fn tell_ignored(loaded: &Loaded) {
    if !loaded.ignored.is_empty() {
        eprintln!("ignored environment variables, which are none of ours: {}", loaded.ignored.join(", "));
    }
}
