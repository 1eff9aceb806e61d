"""Observers are subscribed with bound arguments, and never unsubscribed."""
import functools

from service import serve

subscribers = []


def notify(view, event):
    return view, event


def handle(request):
    view = {"request": request, "cells": [request * 1000 + i for i in range(30)]}  # leak
    subscribers.append(functools.partial(notify, view))


serve(handle)
