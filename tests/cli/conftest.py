from small_run import finished, images  # noqa: F401
