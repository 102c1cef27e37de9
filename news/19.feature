If Volto begins a session while it renders on its server, a warning names the view: nobody finds such a session again.
