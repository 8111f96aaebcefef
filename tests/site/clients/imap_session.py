"""A session of Python's imaplib with a mailbox of ten messages: imap_session.py PORT TLSPORT USER PASSWORD"""
import imaplib
import ssl
import sys

port, tls_port, user, password = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]
anyone = ssl.create_default_context()
anyone.check_hostname = False
anyone.verify_mode = ssl.CERT_NONE


def ok(answer):
    assert answer[0] == "OK", answer
    return answer[1]


with imaplib.IMAP4("127.0.0.1", port, timeout=30) as c:
    ok(c.starttls(anyone))
    ok(c.login(user, password))
    assert int(ok(c.select("INBOX"))[0]) == 10

with imaplib.IMAP4_SSL("127.0.0.1", tls_port, ssl_context=anyone, timeout=30) as c:
    ok(c.authenticate("PLAIN", lambda _: f"\0{user}\0{password}".encode()))
    ok(c.select("INBOX", readonly=True))

with imaplib.IMAP4("127.0.0.1", port, timeout=30) as c:
    ok(c.login(user, password))
    assert int(ok(c.select("INBOX"))[0]) == 10
    assert len(ok(c.search(None, "ALL"))[0].split()) == 10
    assert len(ok(c.search(None, "SUBJECT", '"number 3"'))[0].split()) == 1
    assert len(ok(c.search(None, "UNSEEN"))[0].split()) == 10
    for item in ok(c.fetch("1:10", "(FLAGS UID RFC822.SIZE ENVELOPE BODYSTRUCTURE INTERNALDATE)")):
        assert b"ENVELOPE" in item and b"BODYSTRUCTURE" in item, item
    header = ok(c.fetch("2", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])"))[0][1]
    assert header.strip() == b"Subject: number 2", header
    ok(c.fetch("2", "(BODY[])"))
    assert len(ok(c.search(None, "SEEN"))[0].split()) == 1

    ok(c.store("1", "+FLAGS", r"(\Deleted)"))
    ok(c.expunge())
    assert len(ok(c.search(None, "ALL"))[0].split()) == 9

    ok(c.create("work"))
    ok(c.subscribe("work"))
    ok(c.copy("1:3", "work"))
    ok(c.uid("MOVE", ok(c.uid("SEARCH", None, "1"))[0].decode(), "work"))
    ok(c.append("work", r"(\Seen $Label)", imaplib.Time2Internaldate(1e9), b"Subject: x\r\n\r\nbody\r\n"))
    assert int(ok(c.select("work"))[0]) == 5
    appended = ok(c.fetch("5", "(FLAGS INTERNALDATE BODY.PEEK[])"))
    assert appended[0][1] == b"Subject: x\r\n\r\nbody\r\n", appended
    assert b"$Label" in appended[0][0] + appended[1], appended
    status = ok(c.status("INBOX", "(MESSAGES UIDNEXT UIDVALIDITY UNSEEN)"))[0]
    assert b"MESSAGES 8" in status, status
    ok(c.rename("work", "work2"))
    assert any(b"work2" in line for line in ok(c.list()))
    assert any(b"work" in line for line in ok(c.lsub()))
    ok(c.select("INBOX"))
    ok(c.delete("work2"))
    ok(c.noop())
    capabilities = ok(c.capability())[0].split()
    assert b"IDLE" in capabilities and b"UIDPLUS" in capabilities, capabilities
