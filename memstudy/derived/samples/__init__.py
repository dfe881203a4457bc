"""What networks say of single training samples, from the records of training: for the report page.

recorded   the records of a selection's runs, beside their labels
confusion  given, true and predicted classes, counted
gallery    corrupted samples with their images, and what each run predicts of them
"""
