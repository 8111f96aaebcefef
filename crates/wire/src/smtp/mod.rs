//! SMTP and LMTP. RFC 5321, RFC 2033 and the extensions that the modules name.
