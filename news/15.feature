The page ``@@beaker`` offers managers the same in the browser, and shows hits and misses of each cache region. In Plone, an optional add-on links to it from Site Setup and Volto's control panel.
