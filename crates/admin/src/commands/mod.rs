//! All commands, one file each under the folder of its group.

pub mod accounts;
pub mod backup;
pub mod configuration;
pub mod general;
pub mod mail;
pub mod mailboxes;
pub mod servers;

use crate::arguments::Arguments;
use crate::command::Command;

/// Every command, in order of its group and then as they are listed.
pub const ALL: &[&Command] = &[
    &servers::imservctrl::COMMAND,
    &servers::imctrl::COMMAND,
    &servers::imservping::COMMAND,
    &servers::imservdisplay::COMMAND,
    &configuration::imconfget::COMMAND,
    &configuration::imconfcontrol::COMMAND,
    &accounts::imdbcontrol::COMMAND,
    &accounts::impwdhash::COMMAND,
    &mailboxes::imboxstats::COMMAND,
    &mailboxes::imfolderlist::COMMAND,
    &mailboxes::immsgdelete::COMMAND,
    &backup::imdbhotbackup::COMMAND,
    &backup::imdbmsgbackup::COMMAND,
    &mail::sendmail::COMMAND,
    &general::imcmdlist::COMMAND,
    &general::im_version::COMMAND,
];

/// The command of this name or alias.
pub fn find(name: &str) -> Option<&'static Command> {
    ALL.iter().copied().find(|row| row.name == name || row.aliases.contains(&name))
}

/// The file that stands in for standard input, where the command line of this command names one.
pub(crate) fn batch_file<'a>(row: &Command, arguments: &'a Arguments) -> Option<&'a str> {
    let takes_one = row.name == accounts::imdbcontrol::COMMAND.name;
    accounts::imdbcontrol::batch_file(arguments.words()).filter(|_| takes_one)
}

#[cfg(test)]
mod tests;
