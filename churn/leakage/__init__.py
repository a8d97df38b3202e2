"""Which features tell the answer too well, alone and in pairs."""
