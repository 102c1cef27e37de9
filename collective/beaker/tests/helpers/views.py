"""Views that use the session, for tests to publish."""

from zope.interface import implementer
from ZPublisher.Iterators import IUnboundStreamIterator

from collective.beaker.interfaces import ISession


def count(request):
    """Count this visitor's visits, and save."""
    session = ISession(request)
    session["count"] = session.get("count", 0) + 1
    session.save()
    return str(session["count"])


def read_count(request):
    return str(ISession(request).get("count"))


def read_id(request):
    return ISession(request).id


def ignore_session(request):
    return "nothing"


def begin_basket(request):
    session = ISession(request)
    session["basket"] = []
    session.save()


def put_into_basket(request):
    """Change what is inside a stored value, without save()."""
    ISession(request)["basket"].append("a book")


def look_into_basket(request):
    return repr(ISession(request)["basket"])


def setting(**values):
    """Return a view that sets keys of the session and saves."""

    def view(request):
        session = ISession(request)
        session.update(values)
        session.save()

    return view


def removing(*keys):
    """Return a view that removes keys of the session and saves."""

    def view(request):
        session = ISession(request)
        for key in keys:
            del session[key]
        session.save()

    return view


def delete(request):
    ISession(request).delete()


def streaming(*views, before=read_count):
    """Return a view whose response calls views while it is sent.

    ``before`` is called before that.
    """

    @implementer(IUnboundStreamIterator)
    class Chunks:
        def __init__(self, request):
            self.parts = (view(request) or "-" for view in views)

        def __iter__(self):
            return self

        def __next__(self):
            return next(self.parts).encode()

    def view(request):
        before(request)
        return Chunks(request)

    return view
