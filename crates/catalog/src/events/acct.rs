//! Events of accounts: who came in, who did not, where their mail was sent on.

use crate::events;

events! {
    #[doc = "A user has logged in."]
    AcctLogin: Note { user, protocol, peer }
        counts LOGINS_TOTAL(protocol, "ok")
        cause "Normal operation." action "None.";
    #[doc = "A login failed because the password was wrong."]
    AcctBadPassword: Warn { user, protocol, peer }
        counts LOGINS_TOTAL(protocol, "badPassword")
        cause "A typing error, an old password in a client, or somebody who guesses."
        action "Many from one address: put it into blockTheseIPs or a connection limit.";
    #[doc = "A login failed because there is no such user."]
    AcctUnknownUser: Warn { user, protocol, peer }
        counts LOGINS_TOTAL(protocol, "unknownUser")
        cause "A typing error, a removed account, or somebody who guesses."
        action "Many from one address: put it into blockTheseIPs or a connection limit.";
    #[doc = "A login was refused because of the account's status."]
    AcctNotActive: Warn { user, status, protocol, peer }
        counts LOGINS_TOTAL(protocol, "refused")
        cause "The account is in maintenance, suspended, locked or deleted."
        action "If that is not meant, set its status to A.";
    #[doc = "A login was refused because it came through an interface that is not trusted."]
    AcctNontrustedLogin: Warn { user, protocol, peer, interface }
        counts LOGINS_TOTAL(protocol, "refused")
        cause "The account's class allows access from trusted interfaces only."
        action "If the way is safe, add the interface to trustedInterfaces.";
    #[doc = "A POP login was refused by the class of service."]
    AcctPopNotAllowed: Note { user, peer }
        counts LOGINS_TOTAL("pop", "refused")
        cause "pref_popaccess is `none` for this account." action "None, or change the class.";
    #[doc = "A login by POP over TLS was refused by the class of service."]
    AcctSslPopNotAllowed: Note { user, peer }
        counts LOGINS_TOTAL("pop", "refused")
        cause "pref_popsslaccess is `none` for this account." action "None, or change the class.";
    #[doc = "An IMAP login was refused by the class of service."]
    AcctImapNotAllowed: Note { user, peer }
        counts LOGINS_TOTAL("imap", "refused")
        cause "pref_imapaccess is `none` for this account." action "None, or change the class.";
    #[doc = "A login by IMAP over TLS was refused by the class of service."]
    AcctSslImapNotAllowed: Note { user, peer }
        counts LOGINS_TOTAL("imap", "refused")
        cause "pref_imapsslaccess is `none` for this account." action "None, or change the class.";
    #[doc = "A message was sent on to the forward of an account."]
    AcctForwardTo: Note { account, target, id }
        counts RECIPIENTS("forwarded")
        cause "Normal operation." action "None.";
    #[doc = "A forward of an account cannot be read and was skipped."]
    AcctForwardInfoInvalid: Warn { account, value }
        cause "It is not an address." action "Remove it or write it anew with imdbcontrol.";
    #[doc = "An account says that it forwards but has no forward."]
    AcctForwardInfoMissing: Warn { account }
        cause "The last forward was removed while forwarding stayed on."
        action "Add a forward or turn forwarding off; mail stays in the mailbox until then.";
    #[doc = "A login to send mail or to a web application was refused by the class of service."]
    AcctAccessNotAllowed: Note { user, protocol, peer }
        counts LOGINS_TOTAL(protocol, "refused")
        cause "The access attribute of that protocol is `none` for this account." action "None, or change the class.";
    #[doc = "A login could not be checked because too many wait for the hashing threads."]
    AcctAuthBusy: Warn { user, protocol, peer }
        counts LOGINS_TOTAL(protocol, "busy")
        cause "More new logins at once than the processors can hash, or somebody who guesses in bulk."
        action "If it lasts: more processors, a longer authCacheSeconds, or connection limits.";
    #[doc = "The stored form of a password was renewed after a good login."]
    AcctPasswordRehashed: Note { user, form }
        cause "It was stored in an old form." action "None; rehashPasswords turns it off.";
    #[doc = "The directory was changed."]
    AcctProvisioned: Note { request, entry, trace }
        cause "An administrative command or another client." action "None.";
    #[doc = "The stored password of an account is in no known form: nobody can log in to it."]
    AcctPasswordDamaged: Erro { user, reason }
        cause "The database was changed by hand or is damaged." action "Set the password anew.";
}
