//! Events of files.

use crate::events;

events! {
    #[doc = "A file could not be created."]
    FioCreateFail: Erro { path, error }
        cause "No space, no right, or no free descriptor."
        action "See the error; raise the limit of open files if it says so.";
}
