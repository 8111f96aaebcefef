//! The promises of [`Manager`].

use super::call;
use roles::Call;
use roles::manager::{Manager, ManagerError, ServerState, ServerStatus};
use std::time::Duration;

/// Runs every check on a host where the server of this name may be stopped.
pub async fn all(manager: &dyn Manager, server: &str) {
    a_server_is_stopped_and_started(manager, server).await;
    what_is_so_already_is_left_alone(manager, server).await;
    a_restart_starts_what_is_stopped(manager, server).await;
    unknown_servers_are_named(manager).await;
    a_reload_without_a_change_changes_nothing(manager).await;
}

async fn status(manager: &dyn Manager, server: &str) -> ServerStatus {
    let list = manager.server_list(&call(1)).await.expect("the servers can be listed");
    list.into_iter().find(|status| status.name == server).expect("a server that is stopped is listed, too")
}

async fn a_server_is_stopped_and_started(manager: &dyn Manager, server: &str) {
    let before = status(manager, server).await;
    assert_eq!(before.state, ServerState::Running, "{before:?}");
    assert!(before.pid.is_some() && !before.version.is_empty(), "{before:?}");
    assert_eq!(manager.server_probe(&call(2), server.into()).await, Ok(()));
    manager.server_stop(&call(3), server.into()).await.expect("it can be stopped");
    let stopped = status(manager, server).await;
    assert_eq!((stopped.state, stopped.pid), (ServerState::Stopped, None));
    let probed = manager.server_probe(&call(4), server.into()).await;
    assert!(matches!(probed, Err(ManagerError::Failed(_))), "{probed:?}");
    manager.server_start(&call(5), server.into()).await.expect("it can be started");
    let after = status(manager, server).await;
    assert_eq!((after.state, after.ports), (ServerState::Running, before.ports), "its ports are the same");
    let brief = Call { deadline: Duration::from_secs(5), ..call(6) };
    assert_eq!(manager.server_probe(&brief, server.into()).await, Ok(()));
}

async fn what_is_so_already_is_left_alone(manager: &dyn Manager, server: &str) {
    assert_eq!(manager.server_start(&call(10), server.into()).await, Ok(()));
    assert_eq!(manager.server_stop(&call(11), server.into()).await, Ok(()));
    assert_eq!(manager.server_stop(&call(12), server.into()).await, Ok(()));
    assert_eq!(status(manager, server).await.state, ServerState::Stopped);
}

async fn a_restart_starts_what_is_stopped(manager: &dyn Manager, server: &str) {
    for number in [20, 21] {
        assert_eq!(manager.server_restart(&call(number), server.into()).await, Ok(()));
        assert_eq!(status(manager, server).await.state, ServerState::Running);
    }
}

async fn unknown_servers_are_named(manager: &dyn Manager) {
    let name = "nosuchserver";
    let expected = Err(ManagerError::NoServer(name.to_owned()));
    assert_eq!(manager.server_probe(&call(30), name.into()).await, expected);
    assert_eq!(manager.server_start(&call(31), name.into()).await, expected);
    assert_eq!(manager.server_stop(&call(32), name.into()).await, expected);
    assert_eq!(manager.server_restart(&call(33), name.into()).await, expected);
}

async fn a_reload_without_a_change_changes_nothing(manager: &dyn Manager) {
    manager.configuration_reload(&call(40)).await.expect("what holds can be read");
    let again = manager.configuration_reload(&call(41)).await.expect("and again");
    assert!(again.applied.is_empty() && again.at_restart.is_empty(), "{again:?}");
}
