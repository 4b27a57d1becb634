"""A network that misbehaves: passes bytes on to a daemon, until it is told to lose them or to break connections."""

import socket
import threading

TO_DAEMON = "to the daemon"
FROM_DAEMON = "from the daemon"


class Relay:
    """Listens on a port of its own, `address`, and connects to `target` for each connection that comes."""

    def __init__(self, target):
        host, _, port = target.rpartition(":")
        self.target = (host, int(port))
        self.lost = None  # The direction in which nothing arrives any more.
        self.lock = threading.Lock()
        self.sockets = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                outer, _ = self.listener.accept()
            except OSError:
                return  # It was closed.
            try:
                inner = socket.create_connection(self.target)
            except OSError:
                outer.close()
                continue
            for end in (outer, inner):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self.lock:
                self.sockets += [outer, inner]
            threading.Thread(target=self._pump, args=(outer, inner, TO_DAEMON), daemon=True).start()
            threading.Thread(target=self._pump, args=(inner, outer, FROM_DAEMON), daemon=True).start()

    def _pump(self, source, sink, direction):
        try:
            while data := source.recv(65536):
                if self.lost != direction:
                    sink.sendall(data)
        except OSError:
            pass  # Broken, by us or by one of the ends.
        for end in (source, sink):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def lose(self, direction):
        """From now on nothing arrives in this direction, and nobody is told."""
        self.lost = direction

    def break_connections(self):
        """Breaks all there are; both ends notice. New ones work again."""
        self.lost = None
        with self.lock:
            sockets, self.sockets = self.sockets, []
        for end in sockets:
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            end.close()

    def heal(self):
        """What was lost is lost for good, so connections cannot go on."""
        self.break_connections()

    def close(self):
        self.listener.close()
        self.break_connections()
