"""What servers and task queues run in their workers: each answer allocates a block on a marked line. As WSGI, ASGI, celery tasks,
and (run as a program) concurrent.futures: served.py executor."""

import json
import os
import signal
import sys

BLOCK_BYTES = 60_000
at_import = bytearray(40_000)


def work(number=0):
    bytearray(10)
    block = bytearray(BLOCK_BYTES)  # the block
    return os.getpid(), len(block) + number


def wsgi(environment, start_response):
    body = json.dumps(work()).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]


async def asgi(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    body = json.dumps(work()).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": body})


def celery_application(folder):
    import celery

    app = celery.Celery("served", broker="filesystem://", task_cls=tagged_task(celery))
    app.conf.broker_transport_options = {name: folder for name in ("data_folder_in", "data_folder_out", "control_folder")}
    app.conf.worker_hijack_root_logger = False

    @app.task(name="served.work")
    def task(path):
        with open(path, "a") as file:
            file.write(f"{work()[0]}\n")

    @app.task(name="served.stop")
    def stop():
        os.kill(os.getppid(), signal.SIGTERM)

    return app, task, stop


def tagged_task(celery):
    """As in docs/tags.md."""
    import heapline

    class TaggedTask(celery.Task):
        def __call__(self, *arguments, **named):
            with heapline.tag(self.name):
                return super().__call__(*arguments, **named)

    return TaggedTask


def run_executor():
    from concurrent.futures import ProcessPoolExecutor

    with ProcessPoolExecutor(2) as executor:
        answers = list(executor.map(work, range(8)))
    assert [size for _, size in answers] == [BLOCK_BYTES + number for number in range(8)]
    print(json.dumps([pid for pid, _ in answers]))


def main(how, *arguments):
    if how == "executor":
        run_executor()
        return
    app, task, stop = celery_application(arguments[0])
    if how == "send":
        for _ in range(12):
            task.delay(arguments[1])
        stop.delay()
    elif how == "worker":
        app.worker_main(["worker", "--pool", "prefork", "--concurrency", "2", "--without-gossip", "--without-mingle", "--without-heartbeat",
                         "--prefetch-multiplier", "1"])


if __name__ == "__main__":
    main(*sys.argv[1:])
