"""Skeletons: layouts of joints, labelled clips, sets, files of users, streams."""
