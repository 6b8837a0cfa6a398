"""What anyone would write: a list of addresses, httpx for the download, boto3 for the upload, a sidecar each.

One recording after the other, or with ``--threads``; no hash on the way, no conditional write, no ledger, no check
of what arrived: that is what the figures are to be held against.
"""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor

import boto3
import httpx
from botocore.config import Config


def main() -> None:
    base, token, days, threads = sys.argv[1], sys.argv[2], sys.argv[3].split(","), int(sys.argv[4])
    s3 = boto3.client("s3", config=Config(max_pool_connections=64, s3={"addressing_style": "path"}))
    with httpx.Client(headers={"Authorization": f"Bearer {token}"}) as api:
        calls = []
        for day in days:
            offset = 0
            while True:
                query = {"start": f"{day}T23:55:00Z", "limit": 200, "offset": offset}
                page = api.get(f"{base}/conversations/calls", params=query).json()["data"]["calls"]
                if not page:
                    break
                calls += page
                offset += len(page)
    with httpx.Client(limits=httpx.Limits(max_connections=64)) as http:

        def one(call: dict) -> None:
            body = bytearray()
            with http.stream("GET", call["recording_details"]["url"]) as answer:
                answer.raise_for_status()
                for chunk in answer.iter_bytes():
                    body += chunk
            key = f"recordings/{call['call_id']}"
            s3.put_object(Bucket="bucket", Key=f"{key}.wav", Body=bytes(body))
            s3.put_object(Bucket="bucket", Key=f"{key}.json", Body=json.dumps(call).encode())

        if threads == 1:
            for call in calls:
                one(call)
        else:
            with ThreadPoolExecutor(threads) as pool:
                list(pool.map(one, calls))


if __name__ == "__main__":
    main()
