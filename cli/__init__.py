"""The command line: `tocsin`, for people and for scripts.

What: one file a command; `main` names them and loads each when it is called. Why: whatever the topics know can be asked
for in one line, and every failure says what to do. It refuses to decide anything: it reads, prints and delegates.
"""
