//! What the tests of this crate share: a terminal that plays a script, and roles that answer from memory.

pub(crate) mod house;
pub(crate) mod roles;
mod rollout;

use crate::arguments::{self, Asked};
use crate::command::Exit;
use crate::commands;
use crate::connect;
use crate::context::Roles;
use crate::output::{Gone, Step, Stream, Terminal};
use crate::site::Site;
use roles::Double;
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use tempfile::TempDir;

/// A terminal in memory. Clones share it.
#[derive(Clone, Default)]
pub(crate) struct Script(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    output: Vec<u8>,
    errors: Vec<u8>,
    input: VecDeque<Vec<u8>>,
    close_after: Option<usize>,
}

impl Script {
    /// With these pieces of input.
    pub(crate) fn with_input<'a>(pieces: impl IntoIterator<Item = &'a str>) -> Self {
        let script = Self::default();
        script.0.lock().unwrap().input = pieces.into_iter().map(|piece| piece.as_bytes().to_vec()).collect();
        script
    }

    /// Is gone once this many bytes have been written.
    pub(crate) fn close_after(&self, bytes: usize) {
        self.0.lock().unwrap().close_after = Some(bytes);
    }

    /// What was printed.
    pub(crate) fn output(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().output.clone()).unwrap()
    }

    /// What was said on standard error.
    pub(crate) fn errors(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().errors.clone()).unwrap()
    }
}

/// A command to be run in this process, over a site of its own.
pub(crate) struct Prepared {
    line: Vec<String>,
    folder: Folder,
    script: Script,
    roles: Option<Roles>,
}

/// The site folder: of one command, or of several.
enum Folder {
    Own(TempDir),
    Given(PathBuf),
}

impl Folder {
    fn path(&self) -> &Path {
        match self {
            Self::Own(folder) => folder.path(),
            Self::Given(path) => path,
        }
    }
}

/// Begins with a command line without quotes.
pub(crate) fn run(line: &str) -> Prepared {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("config")).unwrap();
    std::fs::write(folder.path().join("config/hostname"), "mars\n").unwrap();
    prepare(line, Folder::Own(folder))
}

/// Begins with a command line, in a site that is there already.
pub(crate) fn run_at(line: &str, folder: &Path) -> Prepared {
    prepare(line, Folder::Given(folder.to_owned()))
}

fn prepare(line: &str, folder: Folder) -> Prepared {
    let line = line.split(' ').map(str::to_owned).collect();
    Prepared { line, folder, script: Script::default(), roles: None }
}

impl Prepared {
    /// More of the command line.
    pub(crate) fn with_arguments(mut self, arguments: &[&str]) -> Self {
        self.line.extend(arguments.iter().map(ToString::to_string));
        self
    }

    pub(crate) fn with_configuration(self, text: &str) -> Self {
        self.with_file("config/config.db", text)
    }

    pub(crate) fn with_file(self, path: &str, text: &str) -> Self {
        let path = self.folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
        self
    }

    pub(crate) fn with_input<'a>(mut self, pieces: impl IntoIterator<Item = &'a str>) -> Self {
        self.script = Script::with_input(pieces);
        self
    }

    pub(crate) fn with_roles(self, roles: Double) -> Self {
        self.with_servers(roles.roles())
    }

    pub(crate) fn with_servers(mut self, roles: Roles) -> Self {
        self.roles = Some(roles);
        self
    }

    /// Runs it as the daemon does, or as a program does that finds none.
    pub(crate) async fn done(self) -> Run {
        let row = commands::find(&self.line[0]).unwrap();
        let site = Arc::new(Site::open(self.folder.path()).unwrap());
        let terminal = Box::new(self.script.clone());
        let exit = match arguments::read(row, &self.line[1..]) {
            Ok(Asked::Run(arguments)) => connect::run(row, arguments, Some(site), self.roles, terminal).await,
            Ok(_) => panic!("not a line that runs"),
            Err(_) => Exit::USAGE,
        };
        Run { exit, script: self.script, folder: self.folder }
    }
}

/// What came of it.
pub(crate) struct Run {
    pub(crate) exit: Exit,
    script: Script,
    folder: Folder,
}

impl Run {
    pub(crate) fn output(&self) -> String {
        self.script.output()
    }

    pub(crate) fn errors(&self) -> String {
        self.script.errors()
    }

    /// The folder of its site.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// `config.db` as it is now.
    pub(crate) fn configuration(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("config/config.db")).unwrap()
    }
}

impl Terminal for Script {
    fn write<'a>(&'a mut self, to: Stream, bytes: &'a [u8]) -> Step<'a, ()> {
        let mut state = self.0.lock().unwrap();
        let gone = state.close_after.is_some_and(|limit| state.output.len() >= limit);
        match to {
            Stream::Output => state.output.extend_from_slice(bytes),
            Stream::Errors => state.errors.extend_from_slice(bytes),
        }
        Box::pin(std::future::ready(if gone { Err(Gone) } else { Ok(()) }))
    }

    fn read(&mut self) -> Step<'_, Vec<u8>> {
        let piece = self.0.lock().unwrap().input.pop_front().unwrap_or_default();
        Box::pin(std::future::ready(Ok(piece)))
    }

    fn colour(&self) -> bool {
        false
    }
}
