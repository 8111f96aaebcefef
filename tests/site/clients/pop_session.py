"""A session of Python's poplib with a mailbox of ten messages: pop_session.py PORT TLSPORT USER PASSWORD"""
import poplib
import ssl
import sys

port, tls_port, user, password = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]
anyone = ssl.create_default_context()
anyone.check_hostname = False
anyone.verify_mode = ssl.CERT_NONE


def login(p):
    p.user(user)
    p.pass_(password)
    return p


p = poplib.POP3("127.0.0.1", port, timeout=30)
assert "UIDL" in p.capa() and "TOP" in p.capa(), p.capa()
p.stls(anyone)
assert login(p).stat()[0] == 10
p.quit()

p = login(poplib.POP3_SSL("127.0.0.1", tls_port, context=anyone, timeout=30))
assert p.stat()[0] == 10
p.quit()

p = login(poplib.POP3("127.0.0.1", port, timeout=30))
count, size = p.stat()
assert count == 10, count
uids = p.uidl()[1]
assert len(uids) == 10 and len(set(uids)) == 10
sizes = [int(line.split()[1]) for line in p.list()[1]]
assert sum(sizes) == size
for number in range(1, 11):
    lines = p.retr(number)[1]
    assert b"Subject: number %d" % number in lines, lines
    assert sum(len(line) + 2 for line in lines) == sizes[number - 1]
top = p.top(3, 1)[1]
assert top[-1] == b"line 1", top
p.dele(1)
p.rset()
p.dele(2)
p.quit()

p = login(poplib.POP3("127.0.0.1", port, timeout=30))
assert p.stat()[0] == 9
left = [line.split()[1] for line in p.uidl()[1]]
assert left == [line.split()[1] for number, line in enumerate(uids, 1) if number != 2]
p.quit()
