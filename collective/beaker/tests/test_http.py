"""Sessions as visitors see them: over HTTP, in a real Zope."""

from collective.beaker.interfaces import ISession


def count(request):
    session = ISession(request)
    session["count"] = session.get("count", 0) + 1
    session.save()
    return str(session["count"])


def test_a_saved_session_is_there_in_the_next_request(visitor):
    counts = [visitor.visit(count).text for visit in range(3)]

    assert counts == ["1", "2", "3"]
