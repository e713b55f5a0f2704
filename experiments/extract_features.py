r"""A folder of videos -> features to train on, with people's opinions of them.

python experiments/extract_features.py --videos=holidays --output=holidays.h5 \
    --annotations=opinions.csv

`opinions.csv` has a line for each stretch of a video that somebody would keep, times in
seconds, m:ss or h:mm:ss:

    video,user,start,end
    beach.mp4,anna,0:04,0:12.5
    beach.mp4,ben,61,70

With a fifth column `score`, from 1 (dull) to 5 (must not be missing), lines say how
important a stretch is; what a user does not mention has 1. The same as JSON:
{"beach.mp4": {"anna": [[4, 12.5]], "ben": [[61, 70]]}}. All videos of one file of
features should be annotated in the same way. Times are those that a player shows.

The folder is searched to the bottom. A video's name is its path in it without the
suffix, `_` for each `/`; annotations may name it by its path, or by its file's name
alone where no other file has it.

Then write splits, a JSON list such as
[{"train_keys": ["beach", "skiing", "zoo"], "test_keys": ["city"]}], and train:

python experiments/pglsum.py --setup=summe --workdir=runs/holidays \
    --data.file=holidays.h5 --data.splits=splits.json \
    --data.extractor=efficientnet_lite0 --model.input_size=1280 \
    --data.validation_videos=1 --train.batch_size=2

A file that is not readable as a video is named and left out; the others are
written, and the exit code is 1. Features are kept in the cache folder: a call that was
interrupted goes on where it stood.
"""

from gpsattn_jax import commands

if __name__ == "__main__":
    commands.run("extract-features")
