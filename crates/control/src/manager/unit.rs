//! One server that is kept running: the only task that begins and ends its processes.
//!
//! What it is told (start, stop, restart) comes in one line and is done in order; between that it watches its process,
//! and begins it again when it has died. Everybody else sees what it is doing in [`Seen`].

use super::artefacts::{self, Crash};
use super::backoff::{History, Next};
use super::channel::Ready;
use super::child::{Child, How, Launch, Prober, Unready};
use catalog::events::proc::{ProcServerDied, ProcServerGivenUp, ProcServerKilled, ProcStartFailed};
use env::Env;
use env::clock::Moment;
use roles::manager::ServerState;
use std::os::fd::OwnedFd;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};

/// How long a server may take until it is ready: recovery after a crash is part of it.
pub const READY_WITHIN: Duration = Duration::from_secs(60);
/// How long a server may take to end before it is ended by force. It drains its sessions in less.
pub const END_WITHIN: Duration = Duration::from_secs(8);
/// Orders that may wait.
const WAITING_ORDERS: usize = 32;

/// What a server needs to be begun.
pub trait Recipe: Send + Sync + 'static {
    /// Its name.
    fn name(&self) -> &'static str;

    /// How it is begun now.
    fn launch(&self) -> Launch;

    /// Its listening sockets: those that it has already, and new ones for ports that the configuration names now.
    ///
    /// # Errors
    /// Why a port cannot be opened.
    fn sockets(&self) -> Result<Vec<OwnedFd>, String>;

    /// How the new process of a restart follows the old one.
    fn handing(&self) -> Handing;

    /// It was told to stop: its ports are to be closed.
    fn close(&self);
}

/// How the new process of a restart follows the old one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handing {
    /// The new one accepts before the old one stops to.
    Beside,
    /// The old one has files that one process alone may have: it ends first, and who wants something waits.
    After,
}

/// What a server is doing.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Its state. One that died and is to be begun again is starting.
    pub state: ServerState,
    /// Its process.
    pub pid: Option<u32>,
    /// What it said when it became ready.
    pub ready: Ready,
    /// Since when it is so.
    pub since: Moment,
    /// Asks it.
    pub prober: Option<Prober>,
}

/// What may be asked of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Be running.
    Start,
    /// Have ended.
    Stop,
    /// Be another process.
    Restart,
}

struct Ordered {
    order: Order,
    done: oneshot::Sender<Result<(), String>>,
}

/// A server that is looked after.
#[derive(Clone)]
pub struct Unit {
    name: &'static str,
    handing: Handing,
    orders: mpsc::Sender<Ordered>,
    seen: watch::Receiver<Seen>,
}

impl Unit {
    /// Looks after a server, which is stopped. Ends when all its clones are dropped.
    pub fn new(recipe: Arc<dyn Recipe>, env: &Env) -> Self {
        let (orders, taken) = mpsc::channel(WAITING_ORDERS);
        let seen = Seen {
            state: ServerState::Stopped,
            pid: None,
            ready: Ready::default(),
            since: env.clock.moment(),
            prober: None,
        };
        let (show, seen) = watch::channel(seen);
        let (name, handing) = (recipe.name(), recipe.handing());
        let origin = env.clock.moment();
        let history = History::default();
        let keeper = Keeper { recipe, env: env.clone(), current: None, again: None, history, origin, show };
        env.tasks.spawn(keeper.run(taken));
        Self { name, handing, orders, seen }
    }

    /// Its name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// How its restart goes.
    pub fn handing(&self) -> Handing {
        self.handing
    }

    /// What it is doing.
    pub fn seen(&self) -> Seen {
        self.seen.borrow().clone()
    }

    /// Waits until that is so.
    pub async fn wait_for(&self, what: impl FnMut(&Seen) -> bool) {
        let mut seen = self.seen.clone();
        // The sender lives as long as the task, and the task as long as this.
        let _ = seen.wait_for(what).await;
    }

    /// Has it done, and answers when it is.
    ///
    /// # Errors
    /// Why it could not be done.
    pub async fn order(&self, order: Order) -> Result<(), String> {
        self.begin(order).await.wait().await
    }

    /// Has it begun; [`Pending::wait`] tells when it is done.
    pub async fn begin(&self, order: Order) -> Pending {
        let (done, answered) = oneshot::channel();
        // Where the task is gone the answer never comes, which is told by the wait.
        let _ = self.orders.send(Ordered { order, done }).await;
        Pending(answered)
    }
}

/// An order that is being carried out. Dropping it does not take the order back.
pub struct Pending(oneshot::Receiver<Result<(), String>>);

impl Pending {
    /// Answers when it is done.
    ///
    /// # Errors
    /// Why it could not be done.
    pub async fn wait(self) -> Result<(), String> {
        self.0.await.map_err(|_| "the site is stopping".to_owned())?
    }
}

/// The task behind a [`Unit`].
struct Keeper {
    recipe: Arc<dyn Recipe>,
    env: Env,
    current: Option<Child>,
    /// When it is to be begun again.
    again: Option<Moment>,
    history: History,
    /// What times in the history count from.
    origin: Moment,
    show: watch::Sender<Seen>,
}

impl Keeper {
    async fn run(mut self, mut orders: mpsc::Receiver<Ordered>) {
        loop {
            tokio::select! {
                ordered = orders.recv() => match ordered {
                    Some(ordered) => self.obey(ordered).await,
                    None => break,
                },
                status = ended(&mut self.current) => self.died(status),
                () = reached(self.again) => self.begin_again().await,
            }
        }
        self.stop().await;
    }

    async fn obey(&mut self, Ordered { order, done }: Ordered) {
        // Where nobody waits for the answer any more the work is still wanted.
        match (order, &self.current) {
            (Order::Start, Some(_)) => drop(done.send(Ok(()))),
            (Order::Stop, _) => {
                self.stop().await;
                self.recipe.close();
                let _ = done.send(Ok(()));
            }
            (Order::Restart, Some(_)) if self.recipe.handing() == Handing::Beside => {
                self.restart_beside(done).await;
            }
            (Order::Start | Order::Restart, _) => {
                self.history.forget();
                self.stop().await;
                let _ = done.send(self.start().await);
            }
        }
    }

    /// Begins it; where that fails it is tried again later.
    async fn start(&mut self) -> Result<(), String> {
        self.again = None;
        match self.become_ready().await {
            Ok((child, ready)) => {
                self.take_over(child, ready);
                Ok(())
            }
            Err(why) => {
                let text = format!("{} did not start: {why}", self.recipe.name());
                self.env.log.emit(&ProcStartFailed { part: self.recipe.name(), error: &why });
                match why {
                    NotReady::Process(Unready::Unwanted) => self.show(ServerState::Stopped, None),
                    _ => self.plan_again(),
                }
                Err(text)
            }
        }
    }

    async fn begin_again(&mut self) {
        // Said in the log; nobody asked.
        let _ = self.start().await;
    }

    /// A new process that serves.
    async fn become_ready(&self) -> Result<(Child, Ready), NotReady> {
        let launch = self.recipe.launch();
        // Before the process can write another: what a crash of the last run left.
        let _ = artefacts::name_cores(&launch.folder, self.env.clock.now());
        let sockets = self.recipe.sockets().map_err(NotReady::Sockets)?;
        let mut child = Child::begin(&launch, &sockets, &self.env.tasks)?;
        if self.current.is_none() {
            self.show(ServerState::Starting, Some(child.pid()));
        }
        let mut stopping = self.env.tasks.stopping();
        let ready = child.ready(READY_WITHIN, stopping.wait()).await?;
        Ok((child, ready))
    }

    fn take_over(&mut self, child: Child, ready: Ready) -> Option<Child> {
        let (pid, prober) = (Some(child.pid()), Some(child.prober()));
        let since = self.env.clock.moment();
        self.show.send_replace(Seen { state: ServerState::Running, pid, ready, since, prober });
        self.current.replace(child)
    }

    async fn restart_beside(&mut self, done: oneshot::Sender<Result<(), String>>) {
        match self.become_ready().await {
            Err(why) => {
                let name = self.recipe.name();
                self.env.log.emit(&ProcStartFailed { part: name, error: &why });
                let _ = done.send(Err(format!("the new {name} did not start, the old one goes on: {why}")));
            }
            Ok((child, ready)) => {
                self.again = None;
                let old = self.take_over(child, ready);
                let (env, name) = (self.env.clone(), self.recipe.name());
                // Its sessions end in their time; the new one is watched meanwhile.
                self.env.tasks.spawn(async move {
                    if let Some(old) = old {
                        end(old, name, &env).await;
                    }
                    let _ = done.send(Ok(()));
                });
            }
        }
    }

    async fn stop(&mut self) {
        self.again = None;
        if let Some(child) = self.current.take() {
            self.show(ServerState::Stopping, Some(child.pid()));
            end(child, self.recipe.name(), &self.env).await;
        }
        self.show(ServerState::Stopped, None);
    }

    /// It has ended without being told to.
    fn died(&mut self, status: ExitStatus) {
        let Some(child) = self.current.take() else { return };
        let (name, pid, at) = (self.recipe.name(), child.pid(), self.env.clock.now());
        let (ended, words) = (status.to_string(), child.last_words());
        let folder = self.recipe.launch().folder;
        let note = artefacts::keep(&folder, &Crash { server: name, pid, ended: &ended, words: &words, at });
        let core = artefacts::name_cores(&folder, at).unwrap_or_default().pop();
        let note = note.ok().flatten();
        let kept = core.or(note).map_or_else(String::new, |path| path.display().to_string());
        self.env.log.emit(&ProcServerDied { server: name, pid, ended, kept, words });
        self.plan_again();
    }

    /// Says when it is begun again.
    fn plan_again(&mut self) {
        let now = self.env.clock.moment();
        let (state, pause) = match self.history.ended(now.saturating_duration_since(self.origin)) {
            Next::Again(pause) => (ServerState::Starting, pause),
            Next::Rest(pause) => {
                let (server, again_in_seconds) = (self.recipe.name(), pause.as_secs());
                self.env.log.emit(&ProcServerGivenUp { server, again_in_seconds });
                (ServerState::Stopped, pause)
            }
        };
        self.again = Some(now + pause);
        self.show(state, None);
    }

    fn show(&self, state: ServerState, pid: Option<u32>) {
        let (since, ready) = (self.env.clock.moment(), Ready::default());
        self.show.send_replace(Seen { state, pid, ready, since, prober: None });
    }
}

/// Why there is no new process.
#[derive(Debug, thiserror::Error)]
enum NotReady {
    #[error("{0}")]
    Sockets(String),
    #[error(transparent)]
    Process(#[from] Unready),
}

async fn end(child: Child, name: &'static str, env: &Env) {
    let pid = child.pid();
    if child.end(END_WITHIN).await == How::Forced {
        env.log.emit(&ProcServerKilled { server: name, pid, seconds: END_WITHIN.as_secs() });
    }
}

/// The end of a process; never, where there is none.
async fn ended(child: &mut Option<Child>) -> ExitStatus {
    match child {
        Some(child) => child.ended().await,
        None => std::future::pending().await,
    }
}

/// That moment; never, where there is none.
async fn reached(moment: Option<Moment>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
