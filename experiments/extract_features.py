r"""A folder of videos -> features to train on, with people's opinions of them.

python experiments/extract_features.py --videos=holidays --output=holidays.h5 \
    --annotations=opinions.csv

Then write splits, a JSON list such as
[{"train_keys": ["beach", "skiing", "zoo"], "test_keys": ["city"]}], and train:

python experiments/pglsum.py --setup=summe --workdir=runs/holidays \
    --data.file=holidays.h5 --data.splits=splits.json \
    --data.extractor=efficientnet_lite0 --model.input_size=1280 \
    --data.validation_videos=1 --train.batch_size=2

The same as `gpsattn extract-features`; --help says more.
"""

from gpsattn_jax import commands

if __name__ == "__main__":
    commands.run("extract-features")
