With ``session.data_serializer json``, a pickle that was planted in the store does not run.
