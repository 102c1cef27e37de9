"""What the page needs in the database: an administrator, and some news."""

import transaction
from OFS.SimpleItem import SimpleItem
from zope.processlifetime import IDatabaseOpenedWithRoot


NEWS = "news"
"""The id of the object that the page shows a teaser of."""

ADMINISTRATOR = ("admin", "demo", ["Manager"], [])
"""Name, password, roles and domains."""


def prepare(event: IDatabaseOpenedWithRoot) -> None:
    """Add what a database does not have yet."""
    connection = event.database.open()
    try:
        with transaction.manager:
            root = connection.root()["Application"]
            if root.acl_users.getUser(ADMINISTRATOR[0]) is None:
                root.acl_users._doAddUser(*ADMINISTRATOR)
            if NEWS not in root.objectIds():
                news = SimpleItem()
                news.id = NEWS
                news.title = "Zope has a new demo"
                root._setObject(NEWS, news)
    finally:
        connection.close()
