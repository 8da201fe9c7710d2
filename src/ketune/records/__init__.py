"""What the stages hand to one another: each file under `data/` holds one of these records, or rows of them.

`prepare` writes the rows of `examples` and its `preparation`; `tune` and `train` what stands in `training`; `generate`
the rows of `predictions`; `score` its `scores`. Every field is checked when it is read, so that no stage meets a record
of another shape than it was made for. How records are laid out in files is the business of `ketune.ground.files`.
"""
