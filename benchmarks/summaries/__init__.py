"""One honest comparison of ways to score videos: `python -m benchmarks.summaries`.

`splits` draws them, `scorers` and `networks` are what is compared, `session` goes
through sets, splits and scorers within its minutes and goes on where it stopped,
`table` tells which differences survive.
"""
