//! The daemon's round over mailboxes whose class of service limits the age of their mail.
//!
//! A reconciler: takes no input, may be stopped at any point, and finds by the times that mailboxes keep what is left
//! to do. The rules and the work are `admin::retention`'s.

use admin::context::Roles;
use admin::retention;
use catalog::events::ms::MsExpiryRound;
use catalog::keys::mss::EXPIRE_INTERVAL;
use env::Env;
use std::time::Duration;

/// Time between two looks for mailboxes whose time has come.
const PERIOD: Duration = Duration::from_secs(3600);
/// Time between the start and the first look.
const FIRST: Duration = Duration::from_secs(60);

/// Starts it, for the store's environment.
pub(crate) fn start(env: Env, roles: Roles) {
    let (tasks, mut stopping) = (env.tasks.clone(), env.tasks.stopping());
    tasks.spawn(async move {
        tokio::select! {
            () = stopping.wait() => {}
            () = run(&env, &roles) => {}
        }
    });
}

async fn run(env: &Env, roles: &Roles) {
    env.clock.sleep(FIRST).await;
    loop {
        let hours = env.settings.get(EXPIRE_INTERVAL);
        if hours > 0 {
            let interval = Duration::from_secs(hours.saturating_mul(3600));
            let done = retention::round(roles, &env.random, env.clock.now(), interval, &env.log).await;
            match done {
                Ok(0) => {}
                Ok(mailboxes) => env.log.emit(&MsExpiryRound { mailboxes, reason: "" }),
                // It is tried again; the directory has logged what is wrong with it.
                Err(reason) => env.log.emit(&MsExpiryRound { mailboxes: 0, reason }),
            }
        }
        env.clock.sleep(PERIOD).await;
    }
}
