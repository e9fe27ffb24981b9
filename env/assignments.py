"""Makes the students' versions of the assignments by nbgrader, and checks that nbgrader grades them as it should.

  assignments.py FOLDER             a course folder: source/, release/ with the students' versions, nbgrader_config.py
  assignments.py --check FOLDER     besides, hands in each assignment three times, solved, as it was given, and solved but for a
                                    last answer that does not compile, has nbgrader grade them, and compares grades.csv with the
                                    points: all that a program can give, none, and all but those of the tests that call it
"""

import argparse
import csv
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import nbformat

SOURCES = Path(__file__).parent.parent / "notebooks" / "assignments"
STUB = "YOUR CODE HERE"


def nbgrader(course, *arguments):
    """Runs nbgrader in the course's folder; what it prints is shown if it fails."""
    done = subprocess.run([sys.executable, "-m", "nbgrader", *arguments], cwd=course, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode != 0:
        sys.exit(f"{done.stdout}\nnbgrader {' '.join(arguments)} failed in {course}; its last lines are above")
    return done.stdout


def mark(cell):
    return cell.metadata.get("nbgrader", {})


def answers(notebook):
    return {mark(cell).grade_id: cell for cell in notebook.cells if mark(cell).get("solution")}


def generate(course, name):
    """The students' version: no solution is left in it, and every test is."""
    folder = course / "source" / name
    source, ours = folder / f"{name}.ipynb", SOURCES / f"{name}.ipynb"
    if not source.exists():
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(ours, source)
    elif source.read_bytes() != ours.read_bytes():
        print(f"{source} is not {ours}, and is kept: delete it to have the other")
    nbgrader(course, "generate_assignment", name, "--force")
    path = course / "release" / name / f"{name}.ipynb"
    written, released = nbformat.read(source, 4), nbformat.read(path, 4)
    given = answers(released)
    for grade_id, cell in answers(written).items():
        text = given[grade_id].source
        solution = cell.source.partition("BEGIN SOLUTION")[2].partition("### END SOLUTION")[0].splitlines()
        left = [line for line in solution if len(line.strip()) > 12 and line in text]
        if left or "SOLUTION" in text or (cell.cell_type == "code") != (STUB in text):
            sys.exit(f"{path}, {grade_id}: the solution was not taken out: {left or text!r}")
    tests = [cell.source for cell in written.cells if mark(cell).get("locked")]
    if tests != [cell.source for cell in released.cells if mark(cell).get("locked")]:
        sys.exit(f"{path}: tests are missing")
    return path


def hand_in(course, name, student):
    """Writes what the student hands in and returns the points that it is to have."""
    solutions = nbformat.read(course / "source" / name / f"{name}.ipynb", 4)
    tests = [cell for cell in solutions.cells if cell.cell_type == "code" and mark(cell).get("grade")]
    if student == "empty":
        tests = []
    given = nbformat.read(course / "release" / name / f"{name}.ipynb", 4)
    if student != "empty":
        for grade_id, cell in answers(given).items():
            cell.source = answers(solutions)[grade_id].source
    if student == "broken":
        last = [cell for cell in answers(given).values() if cell.cell_type == "code"][-1]
        function = re.search(r"^func (\w+)\(", last.source).group(1)
        last.source = last.source.replace("// ### BEGIN SOLUTION", "this is no Go")
        tests = [cell for cell in tests if not re.search(rf"\b{function}\b", cell.source)]
    folder = course / "submitted" / student / name
    folder.mkdir(parents=True)
    nbformat.write(given, folder / f"{name}.ipynb")
    return sum(mark(cell).points for cell in tests)


def work():
    """Seconds of processor time of all that was started and has ended."""
    times = os.times()
    return times.children_user + times.children_system


def check(course, names):
    wanted = {}
    for name in names:
        for student in ("solved", "empty", "broken"):
            wanted[name, student] = hand_in(course, name, student)
            start, worked = time.monotonic(), work()
            nbgrader(course, "autograde", name, "--student", student, "--create")
            print(f"{name}: {student} graded in {time.monotonic() - start:.0f} s, {work() - worked:.0f} s of a core's work", flush=True)
    nbgrader(course, "export", "--to", "grades.csv")
    with open(course / "grades.csv", newline="", encoding="utf-8") as file:
        rows = {(row["assignment"], row["student_id"]): row for row in csv.DictReader(file)}
    for (name, student), want in wanted.items():
        row = rows.get((name, student), {})
        if not row.get("score") or float(row["score"]) != want:
            graded = course / "autograded" / student / name / f"{name}.ipynb"
            sys.exit(f"{course}/grades.csv: {student} has {row.get('score')} points in {name}, want {want:g}; what the cells said: {graded}")
        print(f"{name}: {student} {want:g}/{float(row['max_score']):g}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--only", default="", help="numbers of assignments, such as 1,3; all if not given")
    parser.add_argument("folder", type=Path)
    options = parser.parse_args()
    os.environ["SSLKIT_HEADLESS"] = "1"  # to the kernel: nobody is looking
    names = [p.stem for p in sorted(SOURCES.glob("*.ipynb")) if not options.only or p.stem.split("_")[0] in options.only.split(",")]
    if not names:
        sys.exit(f"no assignment {options.only}: there are {', '.join(p.stem for p in sorted(SOURCES.glob('*.ipynb')))}")
    course = options.folder.resolve()
    made = course / "made-by-check"  # never a class's own work
    if options.check and course.exists():
        if not made.exists():
            sys.exit(f"{course} exists, and --check has not made it: name a folder that does not")
        shutil.rmtree(course)  # grades of another time
    course.mkdir(parents=True, exist_ok=True)
    if options.check:
        made.touch()
    shutil.copy(SOURCES / "nbgrader_config.py", course)
    for name in names:
        print(generate(course, name), flush=True)
    if options.check:
        check(course, names)


if __name__ == "__main__":
    main()
