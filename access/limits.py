"""Every bound of this room. It refuses to hold any that is not one."""

SECRET_BYTES = 64 << 10  # of a file that holds a password or a token
ANSWER_BYTES = 256 << 10  # of what a token endpoint answers
ANSWER_S = 10.0  # that it may take
TOKEN_S = 60.0  # that a token is taken to live which does not say until when; it is asked for again then
TOKEN_MOST_S = 24 * 3600.0  # that one is believed to live, whatever it says
EARLY = 0.8  # of a token's life, after which the next one is asked for
