"""One prepared run on an accelerator: `python3 dev.py bench --accelerator`.

`rows` are what is measured, `session` goes through them within its minutes and goes on
where it stopped, `table` writes them, the worst first.
"""
