//! Every long option can be given by the environment, too: `--in-flight` by
//! `LOGOTHETE_IN_FLIGHT`. What is typed comes first.

use clap::builder::FalseyValueParser;
use clap::{Arg, ArgAction, Command, CommandFactory as _, FromArgMatches as _};

use super::Cli;

impl Cli {
    /// What was typed, and what the environment says besides.
    pub(crate) fn given() -> Result<Self, clap::Error> {
        let mut command = with_environment(Self::command());
        let matches = command.try_get_matches_from_mut(std::env::args_os())?;
        Self::from_arg_matches(&matches).map_err(|error| error.format(&mut command))
    }
}

fn with_environment(command: Command) -> Command {
    let names = command.get_subcommands().map(|it| it.get_name().to_owned());
    let names: Vec<String> = names.collect();
    let command = command.mut_args(mirrored);
    names.into_iter().fold(command, |command, name| {
        command.mut_subcommand(name, with_environment)
    })
}

fn mirrored(arg: Arg) -> Arg {
    let is_asking = matches!(
        arg.get_action(),
        ArgAction::Help | ArgAction::HelpShort | ArgAction::HelpLong | ArgAction::Version
    );
    let Some(long) = arg.get_long().filter(|_| !is_asking) else {
        return arg;
    };
    if arg.get_env().is_some() {
        return arg;
    }
    let variable = format!("LOGOTHETE_{}", long.replace('-', "_").to_uppercase());
    let is_flag = matches!(arg.get_action(), ArgAction::SetTrue);
    let arg = arg.env(variable).hide_env(true);
    if is_flag {
        return arg.value_parser(FalseyValueParser::new());
    }
    arg
}
