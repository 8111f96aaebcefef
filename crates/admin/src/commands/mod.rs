//! All commands, one file each under the folder of its group.

pub mod accounts;
pub mod backup;
pub mod cache;
pub mod configuration;
pub mod general;
pub mod mail;
pub mod mailboxes;
pub mod monitoring;
pub mod servers;
pub mod store;

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
    &configuration::imconfedit::COMMAND,
    &configuration::imconfxlate::COMMAND,
    &configuration::imconfformput::COMMAND,
    &accounts::imdbcontrol::COMMAND,
    &accounts::impwdhash::COMMAND,
    &accounts::cosupgrade::COMMAND,
    &accounts::imaccountquery::COMMAND,
    &accounts::imbatchextract::COMMAND,
    &accounts::imbatchload::COMMAND,
    &accounts::imintegcheck::COMMAND,
    &cache::imdirsync::COMMAND,
    &cache::imcachecheck::COMMAND,
    &cache::imcacheread::COMMAND,
    &cache::imcachecopy::COMMAND,
    &cache::imcachecontrol::COMMAND,
    &cache::imdirprobe::COMMAND,
    &cache::imdirupdate::COMMAND,
    &mailboxes::immsinit::COMMAND,
    &mailboxes::imbucketscreate::COMMAND,
    &mailboxes::imboxcreate::COMMAND,
    &mailboxes::imboxdelete::COMMAND,
    &mailboxes::imboxstats::COMMAND,
    &mailboxes::imboxsync::COMMAND,
    &mailboxes::imboxtest::COMMAND,
    &mailboxes::iminboxlist::COMMAND,
    &mailboxes::imfolderlist::COMMAND,
    &mailboxes::immsgdelete::COMMAND,
    &mailboxes::imoldmsgdel::COMMAND,
    &mailboxes::imboxmove::COMMAND,
    &mailboxes::imimapboxcopy::COMMAND,
    &mailboxes::imboxrestore::COMMAND,
    &store::immssshare::COMMAND,
    &store::immssgc::COMMAND,
    &store::immsgverify::COMMAND,
    &store::imorphanrm::COMMAND,
    &store::immovmsgfiles::COMMAND,
    &store::imbadmsglist::COMMAND,
    &store::scan_mss::COMMAND,
    &store::imdbplaygcjrn::COMMAND,
    &backup::imdbhotbackup::COMMAND,
    &backup::imdbmsgbackup::COMMAND,
    &mail::sendmail::COMMAND,
    &mail::imbroadcast::COMMAND,
    &mail::immsgmassmail::COMMAND,
    &monitoring::imsysmon::COMMAND,
    &general::imcmdlist::COMMAND,
    &general::im_version::COMMAND,
];

/// The command of this name or alias.
pub fn find(name: &str) -> Option<&'static Command> {
    ALL.iter().copied().find(|row| row.name == name || row.aliases.contains(&name))
}

/// A file that is read where the command was started, and not where it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct InputFile<'a> {
    /// As it is named on the command line.
    pub(crate) path: &'a str,
    /// What comes behind it.
    pub(crate) then: Then,
}

/// What the command reads behind a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Then {
    /// Nothing: the file stands in for standard input.
    Nothing,
    /// An empty line and standard input.
    StandardInput,
}

/// The file in front of standard input, or instead of it, where the command line of this command names one.
pub(crate) fn input_file<'a>(row: &Command, arguments: &'a Arguments) -> Option<InputFile<'a>> {
    match row.name {
        name if name == accounts::imdbcontrol::COMMAND.name => {
            let path = accounts::imdbcontrol::batch_file(arguments.words())?;
            Some(InputFile { path, then: Then::Nothing })
        }
        name if name == accounts::cosupgrade::COMMAND.name
            || name == accounts::imbatchload::COMMAND.name
            || name == configuration::imconfformput::COMMAND.name =>
        {
            let path = arguments.words().first().filter(|path| *path != "-")?;
            Some(InputFile { path, then: Then::Nothing })
        }
        name if name == mail::immsgmassmail::COMMAND.name => {
            let path = arguments.value(mail::immsgmassmail::LIST)?;
            Some(InputFile { path, then: Then::StandardInput })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
