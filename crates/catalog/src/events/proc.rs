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
    #[doc = "A server has ended without being told to. It is started again."]
    ProcServerDied: Urgt { server, pid, ended, kept, words }
        cause "A fault in the program, a lack of memory, or somebody killed it. `kept` is what it left, `words` the end of what it said." action "Look into the file that is named, and report a fault with it.";
    #[doc = "A server that was started again and again has been left alone for a while."]
    ProcServerGivenUp: Urgt { server, again_in_seconds }
        cause "It ended or did not start several times within a minute: the events before say why." action "Correct what they name, then imservctrl start SERVER; without that it is tried again by itself.";
    #[doc = "A server did not end in time and was ended by force. Nothing acknowledged is lost."]
    ProcServerKilled: Erro { server, pid, seconds }
        cause "It hung, or its disk does." action "Report it if it happens again.";
    #[doc = "The process gave up its rights after opening its ports."]
    ProcSetuidSucceed: Note { uid, gid }
        cause "Normal operation." action "None.";
    #[doc = "A directory that the server needs is missing."]
    ProcNoRunDir: Fatl { path }
        cause "It was removed, or runDir names another." action "Create it or correct runDir.";
    #[doc = "A fault in the program was caught; the task it happened in has ended."]
    ProcUncaughtCPlusException: Fatl { thread, text, location }
        cause "A fault in the program. The name is that of former releases." action "Report it with this line.";
}
