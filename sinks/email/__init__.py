"""E-mail: each notification as a message, the messages of an incident in one thread.

What: the message, what a mail server's reply means, and the dialogue that remembers who has it already. Why several
files: the message is laws, the replies are a table. It refuses to send in the clear to another machine.
"""
