"""Ever new code objects, as template engines make them: compiled, run once, dropped. Argument: how many."""
import sys


def render(number):
    names = {}
    exec(compile(f"def body():\n    return [object() for _ in range(3)]\n", f"<template {number % 1000}>", "exec"), names)
    return names["body"]()


for number in range(int(sys.argv[1])):
    render(number)
