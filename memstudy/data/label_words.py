"""What the name of a column says of it: noisy labels, true ones, just labels, an annotator's, or none of these.

A name is taken apart into words: `y_train_noisy`, `noisyLabels`, `noise-label`. Some words say that a column holds
labels, others that these are noisy, or true. A word of another thing (`label_quality`, `is_label_issue`,
`test_labels`) says that it holds none.
"""

from __future__ import annotations

import re
from enum import Enum


def _set(text: str) -> frozenset[str]:
    return frozenset(text.split())


LABEL = _set(
    "label labels lbl lab y ys target targets class classes cls category categories annotation annotations "
    "answer answers"
)
NOISY = _set(
    "noisy noise observed given human worse worst corrupt corrupted perturbed flipped wrong annotated "
    "annotation annotations crowd crowdsourced mturk amt weak random rand aggre aggregate aggregated majority "
    "web tilde"
)
CLEAN = _set(
    "clean true truth gt groundtruth ground gold golden correct corrected original orig real expert oracle "
    "verified actual reference uncorrupted"
)
ALONE = _set(
    "noisy noise observed given human worse worst corrupted annotated annotation annotations crowd clean true "
    "truth gt groundtruth ground gold expert"
)
"""The words of NOISY and CLEAN that name labels without a word of LABEL: `noisy`, `ground_truth`."""
FILLING = _set("train training trn the of")
"""Words that say nothing."""
OTHER = _set(
    "is has issue issues error errors mask flag quality score scores prob probs probability probabilities "
    "confidence conf weight weights text count counts test val valid validation pred preds predicted "
    "prediction predictions logit logits loss losses margin changed rate type seed matrix transition names "
    "map mapping num or not time times sigma std mean entropy"
)
"""Words of columns that are no training labels, whatever else their names say."""
PEOPLE = _set("annotator worker rater coder labeler labeller judge user person")
"""Words of columns that hold one annotator's labels: `annotator_1`."""
INDEX = _set(
    "index indices indexes idx idxs i id ids row rows position positions sample sampleindex sampleid sampleidx "
    "image img imageid imgid imageindex imageidx imgidx no nr"
)
"""Names, their words joined, of columns that number the samples."""
FILE = _set(
    "filename filenames file files path paths filepath filepaths image images img imgs imagepath imgpath "
    "imagefile imagename imgname imagefilename imgfilename fname relpath relativepath"
)
"""Names, their words joined, of columns that name image files."""


class Kind(Enum):
    """What a name says of a column of labels."""

    NOISY = "noisy"
    CLEAN = "clean"
    LABELS = "labels"
    ANNOTATOR = "annotator"


def words(name: str) -> list[str]:
    """The words of a name in lower case: `y_trainNoisy2` → y, train, noisy, 2."""
    return re.findall(r"[a-z]+|[0-9]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower())


def kind(name: str) -> Kind | None:
    """What a name says of a column; None if it is not a name of labels."""
    said = {word for word in words(name) if not word.isdecimal()} - FILLING
    if not said or said & OTHER:
        return None
    if said & PEOPLE and not said & {"id", "ids"}:
        return Kind.ANNOTATOR
    if not (said & LABEL or said <= ALONE):
        return None
    if said & NOISY and not said & CLEAN:
        return Kind.NOISY
    return Kind.CLEAN if said & CLEAN else Kind.LABELS
