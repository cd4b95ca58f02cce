"""What a model is worth, whatever its task."""

from typing import Any

from affinage.records.count_evaluation import CountEvaluation
from affinage.records.evaluation import Evaluation
from affinage.records.multilabel_evaluation import MultilabelEvaluation

AnyEvaluation = Evaluation | MultilabelEvaluation | CountEvaluation

EVALUATION: Any = AnyEvaluation
"""For reading one back, where a type is asked for."""
