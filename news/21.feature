In Plone, results with ``tags=of_context`` are dropped when content is edited, moved or reindexed.
