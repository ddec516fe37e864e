"""Changes on the sample shop as its applications would make them: customers, orders, money, visits, at a given rate."""

import random
import time
import uuid
from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pymysql

from workbook.errors import Refused, TransientError

# Another was faster, to a row's lock or to a key: an application would do something else next, and so does this.
_RACE_LOST = {1062, 1205, 1213}
_NO_SUCH_DATABASE = 1049
# Shutting down, gone, lost, refused.
_SERVER_GONE = {1053, 2003, 2006, 2013}
_NAMES = (
    "Ada Lovelace",
    "Zoë Weiß",
    "  José Núñez ",
    "Mei Chen",
    "O'Brien, Siobhán",
    "Łukasz <b>Nowak</b>",
    "Yuki 佐藤",
)
_REMARKS = ("called back", "Grüße an alle", 'said "never again"', "tab\there", "back\\slash", "<i>VIP</i>", "", None)
_COMMENTS = ("Für Oma 💐", "N/A", None, "two\nlines", "\\N", "", "C:\\temp", "<script>alert(1)</script>")
_PAGES = ("/", "/product/7", "/suche?q=größe", "/cart?x=%20", "/p/<b>")


def run(
    connect: Callable[[], pymysql.Connection],
    rate: float,
    seconds: float,
    seed: int = 1,
    say: Callable[[str], None] = print,
    most: int | None = None,
) -> dict[str, int]:
    """Change the shop at `rate` row changes a second for `seconds`; the row changes of each kind come back.

    With `most` it ends after that many, however long they take up to `seconds`.

    The choices depend on `seed` and on what the shop holds, not on the clock. Rows that triggers and cascades change
    come on top and are not counted, nor are those that were rolled back ("orders given up" stays 0). Ctrl-C ends it after
    the open transaction is undone. Raises Refused where there is no shop, TransientError where the server goes away.
    """
    counts = {kind: 0 for kind, _, _ in _ACTIONS}
    started = time.monotonic()
    try:
        with connect() as connection:
            shopper = _Shopper(connection, seed, _size_of_batch(rate))
            _drive(shopper, counts, rate, seconds, most or round(rate * seconds), started, say)
    except KeyboardInterrupt:
        # The connection is closed by now, with which the server undid what was open.
        say("workload: stopped")
    except pymysql.err.OperationalError as error:
        if error.args[0] == _NO_SUCH_DATABASE:
            raise Refused(
                "The source holds no database shop.",
                "The workload plays the applications of the sample shop; there is nothing it could change.",
                "Bring the sandbox up with its sample (workbook sandbox up, without --no-sample).",
            ) from error
        if error.args[0] not in _SERVER_GONE:
            raise
        raise TransientError(
            f"The source stopped answering while the workload ran: {error.args[-1]}",
            f"{sum(counts.values())} row changes were committed; the one under way was not.",
            "Look whether the source still runs (workbook sandbox status), then start the workload again.",
        ) from error
    took = time.monotonic() - started
    say(
        f"workload: {sum(counts.values()):,} row changes in {took:.1f} s ({sum(counts.values()) / max(took, 0.001):,.0f}/s)"
    )
    return counts


def _size_of_batch(rate: float) -> int:
    """How many of a thing are done in one transaction: a commit is dear, so a high rate needs larger ones."""
    return max(1, min(100, round(rate / 150)))


def _drive(
    shopper: "_Shopper",
    counts: dict[str, int],
    rate: float,
    seconds: float,
    most: int,
    started: float,
    say: Callable[[str], None],
) -> None:
    done, told = 0, started
    while done < most and (now := time.monotonic()) < started + seconds:
        if now - told >= 10:
            told = now
            say(f"workload: {done:,} row changes, {now - started:.0f} of {seconds:.0f} s")
        kind, _, action = shopper.dice.choices(_ACTIONS, weights=[weight for _, weight, _ in _ACTIONS])[0]
        changed = shopper.attempt(action)
        counts[kind] += changed
        done += changed
        time.sleep(max(0.0, min(started + done / rate, started + seconds) - time.monotonic()))


class _Shopper:
    """One application's connection, and what it remembers of the shop."""

    def __init__(self, connection: pymysql.Connection, seed: int, batch: int):
        self.connection = connection
        self.batch = batch
        self.cursor = connection.cursor()
        connection.select_db("shop")
        self.cursor.execute("SET time_zone = '+00:00'")
        # A clock of its own makes equal runs leave equal rows; only the updated_at columns tell the real time.
        # Both clock and dice go on from what the run before left, so that a seed may be used again.
        ((last_view, last_order, last_day),) = self._rows(
            "SELECT (SELECT MAX(id) FROM page_views), (SELECT MAX(id) FROM orders),"
            " (SELECT MAX(ordered_at) FROM orders WHERE ordered_at > '2000-01-01')"
        )
        self.now = max(last_day or datetime.min, datetime(2025, 1, 1, 8))
        self.dice = random.Random(f"{seed} {last_view} {last_order}")
        self.customers = self._column("SELECT id FROM customers ORDER BY id LIMIT 20000")
        self.variants = self._rows(
            "SELECT product_id, `variant no`, price FROM `product variants` JOIN products ON products.id = product_id"
            " WHERE product_id < 1000000 ORDER BY 1, 2 LIMIT 20000"
        )
        self.products = sorted({product for product, _, _ in self.variants})
        self.devices = self._column("SELECT id FROM devices ORDER BY id")
        self.gift_cards = self._column("SELECT code FROM gift_cards WHERE LENGTH(code) > 5 ORDER BY code LIMIT 1000")
        self.waiting = {
            status: deque(
                self._rows(f"SELECT id, total, currency FROM orders WHERE status = '{status}' ORDER BY id LIMIT 5000")
            )
            for status in ("new", "paid", "shipped", "cancelled")
        }
        self.lately_joined: deque[int] = deque()

    def _rows(self, sql: str) -> list[tuple[Any, ...]]:
        self.cursor.execute(sql)
        return list(self.cursor.fetchall())

    def _column(self, sql: str) -> list[Any]:
        return [value for (value,) in self._rows(sql)]

    def attempt(self, action: "Callable[[_Shopper], int]") -> int:
        """Carry out one action in a transaction; the row changes it committed, 0 where a race was lost."""
        self.now += timedelta(microseconds=self.dice.randrange(1, 60_000_000))
        self.connection.begin()
        try:
            changed = action(self)
            self.connection.commit()
        except (pymysql.err.OperationalError, pymysql.err.IntegrityError) as error:
            if error.args[0] not in _RACE_LOST:
                raise
            self.connection.rollback()
            return 0
        return changed

    def insert(self, table_and_columns: str, rows: Sequence[Sequence[Any]]) -> int:
        """Insert rows in one statement; how many they were."""
        marks = "(" + ", ".join(["%s"] * len(rows[0])) + ")"
        values = [value for row in rows for value in row]
        self.cursor.execute(f"INSERT INTO {table_and_columns} VALUES {', '.join([marks] * len(rows))}", values)
        return len(rows)

    def take(self, status: str, most: int) -> list[tuple[Any, ...]]:
        """Up to `most` of the orders that wait with `status`; they wait no longer."""
        queue = self.waiting[status]
        return [queue.popleft() for _ in range(min(most, len(queue)))]

    def move(self, orders: list[tuple[Any, ...]], status: str) -> int:
        """Give `orders` another status and let them wait there; how many they were."""
        marks = ", ".join(["%s"] * len(orders))
        self.cursor.execute(
            f"UPDATE orders SET status = %s WHERE id IN ({marks}) AND status <> %s",
            [status, *(order[0] for order in orders), status],
        )
        if status in self.waiting:
            self.waiting[status].extend(orders)
        return max(0, self.cursor.rowcount)

    def a_uuid(self) -> uuid.UUID:
        return uuid.UUID(int=self.dice.getrandbits(128), version=4)


def _customers_join(shopper: _Shopper) -> int:
    dice, people = shopper.dice, []
    for _ in range(shopper.batch):
        name = dice.choice(_NAMES)
        mail = f"{dice.choice(('', ' '))}{dice.choice(('New', 'NEW', 'new'))}.{dice.randrange(10**9)}@Example.org"
        people.append((name, mail, dice.choice(("N/A", "+44 20 7946 0999", None)), dice.choice(_REMARKS), shopper.now))
    changed = shopper.insert("customers (name, email, phone, remark, registered_at)", people)
    # Ids of one plain INSERT follow each other, so the first tells them all.
    joined = range(shopper.cursor.lastrowid, shopper.cursor.lastrowid + len(people))
    changed += shopper.insert(
        "addresses (customer_id, kind, line1, postcode, city, country_code)",
        [(new, "billing", f"Mill Lane {dice.randrange(1, 200)}", "12345", "Köln", "DE") for new in joined],
    )
    changed += shopper.insert(
        "customer_preferences (customer_id, settings)",
        [(new, '{"language": "de", "newsletter": true, "favourites": [1, 2]}') for new in joined],
    )
    shopper.lately_joined.extend(joined)
    return changed


def _customers_edit(shopper: _Shopper) -> int:
    changed = 0
    for customer in shopper.dice.sample(shopper.customers, min(shopper.batch, len(shopper.customers))):
        shopper.cursor.execute(
            "UPDATE customers SET remark = %s, tier_id = %s WHERE id = %s",
            (shopper.dice.choice(_REMARKS), shopper.dice.randrange(4), customer),
        )
        changed += shopper.cursor.rowcount
    return changed


def _customers_leave(shopper: _Shopper) -> int:
    # Only the newest, who have ordered nothing; their address and preferences go with them.
    leaving = [shopper.lately_joined.popleft() for _ in range(min(shopper.batch // 4 + 1, len(shopper.lately_joined)))]
    for customer in leaving:
        shopper.cursor.execute("DELETE FROM customers WHERE id = %s", (customer,))
    return len(leaving)


def _place_orders(shopper: _Shopper) -> tuple[list[tuple[Any, ...]], int]:
    dice, baskets = shopper.dice, []
    for _ in range(shopper.batch):
        basket = [
            (*dice.choice(shopper.variants), dice.randrange(1, 4)) for _ in range(dice.choice((1, 1, 1, 2, 2, 3, 5)))
        ]
        total = sum((price * quantity for _, _, price, quantity in basket), Decimal(0))
        baskets.append((dice.choice(shopper.customers), total, dice.choice(("EUR", "EUR", "GBP", "CHF")), basket))
    changed = shopper.insert(
        "orders (customer_id, status, ordered_at, currency, total, comment)",
        [
            (customer, "new", shopper.now, currency, total, dice.choice(_COMMENTS))
            for customer, total, currency, _ in baskets
        ],
    )
    first = shopper.cursor.lastrowid
    items = [
        (first + number, line, product, variant, quantity, price)
        for number, (_, _, _, basket) in enumerate(baskets)
        for line, (product, variant, price, quantity) in enumerate(basket, 1)
    ]
    changed += shopper.insert("order_items (order_id, line_no, product_id, `variant no`, quantity, unit_price)", items)
    return [(first + number, total, currency) for number, (_, total, currency, _) in enumerate(baskets)], changed


def _orders_placed(shopper: _Shopper) -> int:
    orders, changed = _place_orders(shopper)
    shopper.waiting["new"].extend(orders)
    return changed


def _orders_given_up(shopper: _Shopper) -> int:
    # Written and undone: no reader of the binlog may ever see it.
    _place_orders(shopper)
    shopper.connection.rollback()
    return 0


def _orders_paid(shopper: _Shopper) -> int:
    orders = shopper.take("new", shopper.batch)
    if not orders:
        return 0
    return shopper.move(orders, "paid") + shopper.insert(
        "payments (id, order_id, method, amount, currency, paid_at, answer)",
        [
            (
                shopper.a_uuid().bytes,
                order,
                shopper.dice.choice(("card", "wallet")),
                total,
                currency,
                shopper.now,
                '{"ok": true}',
            )
            for order, total, currency in orders
        ],
    )


def _orders_shipped(shopper: _Shopper) -> int:
    orders = shopper.take("paid", shopper.batch)
    if not orders:
        return 0
    return shopper.move(orders, "shipped") + shopper.insert(
        "shipments (id, order_id, carrier, shipped_at, weight_kg)",
        [
            (str(shopper.a_uuid()), order, "DHL", shopper.now, shopper.dice.randrange(1, 90) / 8)
            for order, _, _ in orders
        ],
    )


def _orders_delivered(shopper: _Shopper) -> int:
    orders = shopper.take("shipped", shopper.batch)
    for order, _, _ in orders:
        shopper.cursor.execute("UPDATE shipments SET delivered_at = %s WHERE order_id = %s", (shopper.now, order))
    return shopper.move(orders, "delivered") if orders else 0


def _orders_cancelled(shopper: _Shopper) -> int:
    orders = shopper.take("new", 2)
    return shopper.move(orders, "cancelled") if orders else 0


def _orders_deleted(shopper: _Shopper) -> int:
    orders = shopper.take("cancelled", shopper.batch // 4 + 1)
    for order, _, _ in orders:
        shopper.cursor.execute("DELETE FROM orders WHERE id = %s", (order,))
    return len(orders)


def _prices_changed(shopper: _Shopper) -> int:
    changed = 0
    for product in shopper.dice.sample(shopper.products, min(shopper.batch, len(shopper.products))):
        shopper.cursor.execute(
            "UPDATE products SET price = ROUND(price * %s, 2) + 0.01 WHERE id = %s",
            (shopper.dice.choice(("0.95", "1.05", "0.90", "1.10")), product),
        )
        changed += shopper.cursor.rowcount
    return changed


def _keys_changed(shopper: _Shopper) -> int:
    """A text key, a part of a composite key, and a key that cascades to the orders with it."""
    dice, changed = shopper.dice, 0
    at = dice.randrange(len(shopper.gift_cards))
    renamed = f"gift-ü{dice.randrange(10**12):012d}"
    shopper.cursor.execute("UPDATE gift_cards SET code = %s WHERE code = %s", (renamed, shopper.gift_cards[at]))
    shopper.gift_cards[at] = renamed
    changed += shopper.cursor.rowcount
    shopper.cursor.execute(
        "UPDATE IGNORE addresses SET kind = 'other' WHERE customer_id = %s AND kind = 'shipping'",
        (dice.choice(shopper.customers),),
    )
    changed += shopper.cursor.rowcount
    # Few orders carry this coupon, so the cascade stays small at every scale.
    shopper.cursor.execute(
        "UPDATE coupons SET code = %s WHERE percent = 1 AND code LIKE 'back%%'",
        (f"back\\slash {dice.randrange(1000)}",),
    )
    return changed + shopper.cursor.rowcount


def _pages_viewed(shopper: _Shopper) -> int:
    dice = shopper.dice
    return shopper.insert(
        "page_views (viewed_on, viewed_at, customer_id, path, milliseconds, address)",
        [
            (
                shopper.now.date(),
                shopper.now.time(),
                dice.choice((None, dice.choice(shopper.customers))),
                dice.choice(_PAGES),
                dice.randrange(5, 4000),
                bytes((192, 0, 2, dice.randrange(256))),
            )
            for _ in range(shopper.batch * 5)
        ],
    )


def _clicks_logged(shopper: _Shopper) -> int:
    """The keyless table: rows that are equal, an update and a delete that no key can name."""
    dice = shopper.dice
    session = f"w{dice.getrandbits(40):011x}"[:12]
    clicks = [
        (shopper.now, session, "button#buy", dice.randrange(1920), dice.randrange(1080), '{"button": 0}')
        for _ in range(shopper.batch * 2)
    ]
    changed = shopper.insert("click_log (clicked_at, session, element, x, y, payload)", [*clicks, clicks[0], clicks[0]])
    shopper.cursor.execute("UPDATE click_log SET element = 'div>span' WHERE session = %s AND x %% 7 = 0", (session,))
    changed += shopper.cursor.rowcount
    shopper.cursor.execute("DELETE FROM click_log WHERE session = %s AND x = %s LIMIT 1", (session, clicks[0][3]))
    return changed + shopper.cursor.rowcount


def _readings_sent(shopper: _Shopper) -> int:
    dice = shopper.dice
    return shopper.insert(
        "device_readings (device_id, read_at, temperature, humidity, flags, raw)",
        [
            (
                device,
                shopper.now + timedelta(milliseconds=number),
                dice.randrange(160, 260) / 10,
                dice.random() * 100,
                dice.randrange(256),
                dice.randbytes(8),
            )
            for number in range(shopper.batch // 4 + 1)
            for device in dice.sample(shopper.devices, 4)
        ],
    )


def _sessions_started(shopper: _Shopper) -> int:
    # MEMORY and MyISAM tables know no transactions; under GTIDs each such statement must stand alone.
    shopper.connection.commit()
    changed = shopper.insert(
        "live_sessions (session, customer_id, started_at)",
        [(f"{shopper.dice.getrandbits(48):012x}", None, shopper.now)],
    )
    shopper.cursor.execute("DELETE FROM live_sessions ORDER BY started_at, session LIMIT 1")
    return changed + shopper.cursor.rowcount


def _bank_lines_booked(shopper: _Shopper) -> int:
    shopper.connection.commit()
    amount = f"{shopper.dice.randrange(1, 999)},{shopper.dice.randrange(100):02d}"
    return shopper.insert(
        "bank_export (booked, purpose, amount)", [(f"{shopper.now:%d.%m.%Y}", "GEBÜHR", amount)] * shopper.batch
    )


#: What an application does, how often against the others, and how.
_ACTIONS: tuple[tuple[str, int, Callable[[_Shopper], int]], ...] = (
    ("customers joined", 4, _customers_join),
    ("customers edited", 6, _customers_edit),
    ("customers left", 2, _customers_leave),
    ("orders placed", 16, _orders_placed),
    ("orders given up", 1, _orders_given_up),
    ("orders paid", 14, _orders_paid),
    ("orders shipped", 13, _orders_shipped),
    ("orders delivered", 12, _orders_delivered),
    ("orders cancelled", 2, _orders_cancelled),
    ("orders deleted", 2, _orders_deleted),
    ("prices changed", 3, _prices_changed),
    ("keys changed", 3, _keys_changed),
    ("pages viewed", 12, _pages_viewed),
    ("clicks logged", 6, _clicks_logged),
    ("readings sent", 5, _readings_sent),
    ("sessions started", 2, _sessions_started),
    ("bank lines booked", 1, _bank_lines_booked),
)
