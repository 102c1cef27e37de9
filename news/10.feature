Sessions cost less: over Zope alone, a read takes between 60 % and 85 % of the CPU time that it took before, depending on the store.
