"""The session of a request: what Zope's publisher and its code get."""

from beaker.session import SessionObject

from collective.beaker.session.publisher import ZopeSession
from collective.beaker.session.publisher import closeSession
from collective.beaker.session.publisher import configureSessionAfterTraversal
from collective.beaker.session.publisher import configureSessionOnStart
from collective.beaker.session.publisher import initializeSession
from collective.beaker.session.publisher import maskSessionOnFailure
from collective.beaker.session.publisher import persistSessionOnFailure
from collective.beaker.session.publisher import persistSessionOnSuccess
from collective.beaker.session.request import LazySession


__all__ = [
    "LazySession",
    "SessionObject",
    "ZopeSession",
    "closeSession",
    "configureSessionAfterTraversal",
    "configureSessionOnStart",
    "initializeSession",
    "maskSessionOnFailure",
    "persistSessionOnFailure",
    "persistSessionOnSuccess",
]
