//! Events of processes and their start and end.

use crate::events;

events! {
    #[doc = "A server is ready."]
    ProcServerStarted: Note { server, version }
        cause "It was started." action "None.";
    #[doc = "A part of a server could not be started; the rest of it serves."]
    ProcStartFailed: Urgt { part, error }
        cause "A library of the system is missing or damaged." action "Correct what the event names and restart.";
    #[doc = "A server has ended in order."]
    ProcServerStopped: Note { server }
        cause "It was told to stop." action "None.";
    #[doc = "The process gave up its rights after opening its ports."]
    ProcSetuidSucceed: Note { uid, gid }
        cause "Normal operation." action "None.";
    #[doc = "A fault in the program was caught; the task it happened in has ended."]
    ProcUncaughtCPlusException: Fatl { thread, text, location }
        cause "A fault in the program. The name is that of former releases." action "Report it with this line.";
}
