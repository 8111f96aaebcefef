use super::*;

const PASSWORD: &str = "secret pässwörd";
const SALT: &[u8; SALT_LEN] = b"0123456789abcdef";

fn fits(stored: &str, password: &str) -> bool {
    StoredPassword::parse(stored).unwrap().verify(&Secret::new(password))
}

/// Made by `doveadm pw` 2.3.19, `openssl passwd` 3.0, Perl's `crypt` and Python's hashlib.
const MADE_ELSEWHERE: &[(PasswordType, &str)] = &[
    (PasswordType::Md5Crypt, "{MD5-CRYPT}$1$5uGhtkpz$39NvDbgzCoU.m7tl.rfPB0"),
    (PasswordType::Md5Crypt, "{MD5}$1$5uGhtkpz$39NvDbgzCoU.m7tl.rfPB0"),
    (PasswordType::Md5Crypt, "$1$abcdefgh$t71BemN5d7z7iQtw1mhiq."),
    (PasswordType::Sha256Crypt, "$5$saltstring$2VhN8YoNnve9lthdGGJ7XbnxAWFooKomxFKCAM6.zH9"),
    (
        PasswordType::Sha256Crypt,
        "{SHA256-CRYPT}$5$/44iPZ2qIwRcONAr$kdfiuPME27nygpQXAtHhdWc4qklmYL1eRx73P1YkE42",
    ),
    (
        PasswordType::Sha512Crypt,
        "{CRYPT}$6$mynPMYZ1KT9LtZ4t$gzuhGesR7mzz/h1oZRNGHDT.0tfPj7ldaCKZqYl5FY9YoB37JXLD6thghXIx.6tvMyytpqELw18iC24qIbBU20",
    ),
    (
        PasswordType::Sha512Crypt,
        "$6$saltstring$8RBWuFCEuxqJl0OEUFfdDfA2tu5I7bMHRZ6AAS87StU3VXYuUIA/fXCgD/f5w8AqeikzEINpJVJ8w57cMaUZ70",
    ),
    (PasswordType::Ssha, "{SSHA}HTvc3K4PYTeuNMojFM1nxBTULt95vA7w"),
    (PasswordType::Ssha256, "{SSHA256}Q7yLSlpa65QJyWrLL9rGQfv9nzKqYXRUwH6LNtHCmcXp6m8O"),
    (
        PasswordType::Ssha512,
        "{SSHA512}ltwa4xD8JWgFNFZAA4ohnzDRzjchQGJrMyriNTImUpFndR0FOvMwSXYgsbVaHlNg9C8vhYlLAlB7RuL2otBrlXY1fSM=",
    ),
    (PasswordType::Sha, "{SHA}rUyVLZ7UJMOyR2Dnkp+PDMGBZ8I="),
    (PasswordType::Sha256, "{SHA256}V1Gy/Rg5K4msDNJOxU7BXXmt200oLATarnPoXABkFyc="),
    (
        PasswordType::Sha512,
        "{SHA512}0SA034UO5EHbPg5EuoCFP+BWcZYkKJeD7X300GyOWLOelcG+GaPOX7lVNLKeA0EzxLoCkMg8Pk8bf0dRh313uA==",
    ),
    (
        PasswordType::Sha512,
        "{SHA512.HEX}d12034df850ee441db3e0e44ba80853fe056719624289783ed7df4d06c8e58b39e95c1be19a3ce5fb95534b29e034133c4ba0290c83c3e4f1b7f4751877d77b8",
    ),
    (PasswordType::Smd5, "{SMD5}N+7jzhCXMRQogDWu/DI/1oNEVRo="),
    (PasswordType::Md5, "{LDAP-MD5}P+p85bxesVrzIvqmognutA=="),
    (PasswordType::Md5, "{PLAIN-MD5}3fea7ce5bc5eb15af322faa6a209eeb4"),
    (PasswordType::Clear, "{PLAIN}secret pässwörd"),
    (PasswordType::Unix, "{DES-CRYPT}AmnuGZGZ7nCAg"),
    (PasswordType::Bcrypt, "{BLF-CRYPT}$2y$05$/p9f.6/NPg8V.5WHC3J2J.CX28Jjiw5rDfRcyjBZfUIQMyPoQ59Ky"),
    (
        PasswordType::Argon2id,
        "{ARGON2ID}$argon2id$v=19$m=65536,t=3,p=1$4TymBZp6iKWNhka6Ut7V8g$NoRYcdP1hLntL7cKM8mBoWIP57GvC8YdpJ+ldqaddsw",
    ),
    (
        PasswordType::Argon2id,
        "$argon2i$v=19$m=32768,t=4,p=1$dBVfwmcZfKzquDN1YJV/8g$xIdDeOuwjDzGPi1vNpa1RG66cN2BP2SOtvdohZqb2DY",
    ),
    (PasswordType::Pbkdf2, "{PBKDF2}$1$P8eGeNTdsNlbRM.0$5000$824417ccc9c541630eb7eda940ea96228db2cdc4"),
    (
        PasswordType::Pbkdf2,
        "$pbkdf2-sha256$5000$8PHy8/T19vf4.fr7/P3./w$aQL8ns0hfww6PdE23MEx19BvTt.fvYvJPOkTf7EDxbw",
    ),
    (
        PasswordType::Pbkdf2,
        "$pbkdf2-sha256$i=5000,l=32$8PHy8/T19vf4+fr7/P3+/w$aQL8ns0hfww6PdE23MEx19BvTt+fvYvJPOkTf7EDxbw",
    ),
    (PasswordType::Pbkdf2, "{PBKDF2-SHA1}5000$8PHy8/T19vf4.fr7/P3./w$MKHvzl0yaCzGfXhKVkFylVhB3vc"),
    (
        PasswordType::Pbkdf2,
        "{PBKDF2-SHA512}5000$8PHy8/T19vf4.fr7/P3./w$oovJUly6WWgmr2oR3fmooGEwWNpTOZCQotPhQ.DI3WAOYrCcpzSCdMnoucCXOGfQc6RC8tGJWHW1N0Pr5vjiCg",
    ),
];

#[test]
fn hashes_of_other_tools_fit_their_password_and_no_other() {
    for (kind, stored) in MADE_ELSEWHERE {
        let parsed = StoredPassword::parse(stored).unwrap_or_else(|e| panic!("{stored}: {e}"));
        assert_eq!(parsed.kind(), *kind, "{stored}");
        assert!(parsed.verify(&Secret::new(PASSWORD)), "{stored}");
        assert!(!parsed.verify(&Secret::new("Secret pässwörd")), "{stored}");
        assert!(!parsed.verify(&Secret::new("")), "{stored}");
    }
}

#[test]
fn rounds_and_des_crypt() {
    assert!(fits("$5$rounds=1400$anotherlongsalt$5y0oTZRDdf9EeBuPgkf9VoE/WDN/4ZWqUs1zWU1lTn9", "secret"));
    assert!(fits("abgOeLfPimXQo", "test"));
    assert!(!fits("abgOeLfPimXQo", "tesu"));
}

#[test]
fn its_14289_every_type_makes_a_hash_that_fits_its_password() {
    for &(name, kind) in PasswordType::ALL {
        let made = StoredPassword::make(kind, &Secret::new(PASSWORD), SALT).unwrap();
        assert!(made.verify(&Secret::new(PASSWORD)), "{name}");
        assert!(!made.verify(&Secret::new("secret passwort")), "{name}");
        assert_eq!(made.is_current(), matches!(kind, PasswordType::Clear | PasswordType::Argon2id), "{name}");
        assert_eq!(PasswordType::parse(&name.to_uppercase()), Some(kind));
    }
}

#[test]
fn its_15223_a_made_hash_is_accepted_as_its_own_type() {
    for &(name, kind) in PasswordType::ALL.iter().filter(|(_, k)| *k != PasswordType::Clear) {
        let made = StoredPassword::make(kind, &Secret::new(PASSWORD), SALT).unwrap();
        let again = StoredPassword::parse_as(kind, made.expose()).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(again.expose(), made.expose());
    }
    let bare = StoredPassword::parse_as(PasswordType::Ssha, "HTvc3K4PYTeuNMojFM1nxBTULt95vA7w").unwrap();
    assert!(bare.verify(&Secret::new(PASSWORD)));
    let other = StoredPassword::parse_as(PasswordType::Bcrypt, "abgOeLfPimXQo");
    assert_eq!(other.unwrap_err(), BadPassword::OtherType);
    assert_eq!(
        StoredPassword::parse_as(PasswordType::Clear, "{PLAIN}x").unwrap_err(),
        BadPassword::OtherType
    );
}

#[test]
fn known_answer_of_argon2id_and_its_form() {
    let made = StoredPassword::make(PasswordType::Argon2id, &Secret::new(PASSWORD), SALT).unwrap();
    assert!(made.expose().starts_with("$argon2id$v=19$m=19456,t=2,p=1$MDEyMzQ1Njc4OWFiY2RlZg$"));
    assert_eq!(format!("{made:?}"), "(argon2id hash)");
}

#[test]
fn nobody_has_a_current_hash_that_fits_nothing() {
    let nobody = StoredPassword::of_nobody(SALT, &[7; 32]).unwrap();
    assert!(nobody.is_current() && !nobody.verify(&Secret::new(PASSWORD)));
}

#[test]
fn damaged_and_costly_hashes_are_refused() {
    use BadPassword::{Damaged, TooCostly, UnknownForm};
    let cases = [
        ("", UnknownForm),
        ("testman", UnknownForm),
        ("{ROT13}abc", UnknownForm),
        ("$y$j9T$abc", UnknownForm),
        ("{SSHA}####", Damaged),
        ("{SSHA}YWJj", Damaged),
        ("{SHA}HTvc3K4PYTeuNMojFM1nxBTULt95vA7w", Damaged),
        ("{MD5}3fea7ce5bc5eb15af322faa6a209eeb", Damaged),
        ("$1$abcdefgh$short", Damaged),
        ("$6$rounds=999999999$saltstring$8RBW", TooCostly),
        ("$2b$31$/p9f.6/NPg8V.5WHC3J2J.CX28Jjiw5rDfRcyjBZfUIQMyPoQ59Ky", TooCostly),
        ("$2b$05$/p9f", Damaged),
        (
            "$argon2id$v=19$m=4194304,t=3,p=1$4TymBZp6iKWNhka6Ut7V8g$NoRYcdP1hLntL7cKM8mBoWIP57GvC8Yd",
            TooCostly,
        ),
        (
            "$argon2id$v=19$m=65536,t=400000,p=1$4TymBZp6iKWNhka6Ut7V8g$NoRYcdP1hLntL7cKM8mBoWIP57GvC8Yd",
            TooCostly,
        ),
        ("$argon2id$v=19$m=0,t=0,p=0$4TymBZp6iKWNhka6Ut7V8g$NoRYcdP1hLntL7cKM8mBoWIP57GvC8Yd", Damaged),
        ("$argon2id$v=16$m=65536,t=3,p=1$4Tym$NoRY", Damaged),
        ("$pbkdf2-sha256$4000000000$8PHy8/T19vf4$aQL8ns0hfww6PdE23MEx19BvTt.fvYvJPOkTf7EDxbw", TooCostly),
        ("$pbkdf2-sha256$0$8PHy8/T19vf4$aQL8ns0hfww6PdE23MEx19BvTt.fvYvJPOkTf7EDxbw", Damaged),
        ("$pbkdf2-sha256$5000$8PHy8/T19vf4$", Damaged),
    ];
    for (text, why) in cases {
        assert_eq!(StoredPassword::parse(text).err(), Some(why), "{text}");
    }
}

#[test]
fn passwords_that_cannot_be_stored() {
    let make = |p: &[u8]| StoredPassword::make(PasswordType::Ssha, &Secret::new(p), SALT).err();
    assert_eq!(make(b""), Some(BadPassword::Length));
    assert_eq!(make(&[b'x'; MAX_PASSWORD + 1]), Some(BadPassword::Length));
    assert_eq!(make(b"a\0b"), Some(BadPassword::Nul));
    assert_eq!(make(&[b'x'; MAX_PASSWORD]), None);
}

#[test]
fn scram_keys_of_rfc_7677_section_3() {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    let salt = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
    let keys = ScramKeys::derive(&Secret::new("pencil"), &salt, 4096);
    let text = "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";
    assert_eq!(keys.to_text(), text);
    let read = ScramKeys::parse(text).unwrap();
    assert_eq!((read.salt, read.iterations), (salt, 4096));
    assert_eq!((read.stored_key, read.server_key), (keys.stored_key, keys.server_key));
}

#[test]
fn scram_keys_agree_with_dovecot() {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    let salt = STANDARD.decode("WfNPOlvIO1QiGrvGKzxuyw==").unwrap();
    let keys = ScramKeys::derive(&Secret::new(PASSWORD), &salt, 4096);
    assert_eq!(STANDARD.encode(keys.stored_key), "PWVQTDQ7/AJZeBKRaTgTIOeYgbJTSIyrBGwqfOjSRB4=");
    assert_eq!(STANDARD.encode(keys.server_key), "/nQ0J3nV11hOh5c8QWdWYqSdsTnn644TmuVaZrYQK44=");
}

#[test]
fn damaged_scram_keys_are_refused() {
    for text in
        ["", "SCRAM-SHA-1$4096:AA==$AA==:AA==", "SCRAM-SHA-256$1:W22Z$WG5d:wfPL", "SCRAM-SHA-256$4096"]
    {
        assert!(ScramKeys::parse(text).is_err(), "{text}");
    }
}

proptest::proptest! {
    /// No text makes the parser panic, and no parsed text runs long on a password.
    #[test]
    fn any_text_is_parsed_or_refused(text in "(\\{[A-Z0-9-]{0,8}\\}|\\$[a-z0-9-]{1,8}\\$)?[ -~é]{0,80}") {
        let _ = StoredPassword::parse(&text);
        let _ = ScramKeys::parse(&text);
    }
}
