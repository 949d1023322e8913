"""The common part of all lessons: a lesson's form, the checks of its exercises, and its recorded numbers.

lesson.py    the object that a lesson talks to: predictions, source to read, places to stop, figure, numbers, control
answers.py   the parts of a check: WrongAnswer, and the comparison of a reader's answer with the right one
checks/      one file a lesson, one function an exercise
exercises.py the reader's files: found, loaded, checked
folder.py    where the lessons are, in a checkout and in an installed package
notebook.py  a lesson as an executed notebook
recorded.py  the numbers of a recorded run, written into the text of its lesson
"""

from minicnn.teach.answers import WrongAnswer
from minicnn.teach.exercises import check
from minicnn.teach.lesson import Lesson, begin

__all__ = ["Lesson", "WrongAnswer", "begin", "check"]
