In Plone, users see on ``@@my-sessions`` where they are signed in, and can sign out other devices, in English or German. plone.restapi has the service ``@my-sessions``.
