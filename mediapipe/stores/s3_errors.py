"""What S3 and botocore say, in our words: pure tables, by error code and by exception class name.

Classes are known by name so that nothing is imported here; a test walks botocore's own exceptions and
fails when one of them is in no table.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mediapipe.errors import (
    CredentialsError,
    Failed,
    MediapipeError,
    Throttled,
    Transient,
    UnsafeDestination,
    UsageError,
)
from mediapipe.pacing import retry_after
from mediapipe.redact import quote_body


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


THROTTLED = _words(
    "SlowDown SlowDownRead SlowDownWrite Throttling ThrottlingException ThrottledException TooManyRequests "
    "TooManyRequestsException RequestLimitExceeded RequestThrottled RequestThrottledException "
    "BandwidthLimitExceeded EC2ThrottledException LimitExceededException 429"
)
PASSING = _words(
    "InternalError InternalFailure InternalServerError ServiceUnavailable ServiceUnavailableException Busy "
    "NoSuchUpload RequestTimeout RequestTimeoutException OperationAborted ConditionalRequestConflict "
    "IncompleteBody 500 502 503 504 408 409"
)
REFUSED = _words(
    "AccessDenied AccessDeniedException AccountProblem AllAccessDisabled AuthFailure ExpiredToken "
    "ExpiredTokenException Forbidden InvalidAccessKeyId InvalidClientTokenId InvalidSecurity InvalidToken "
    "NotSignedUp RequestExpired RequestTimeTooSkewed SignatureDoesNotMatch TokenRefreshRequired Unauthorized "
    "UnauthorizedAccess UnrecognizedClientException AuthorizationHeaderMalformed 401 403"
)
DAMAGED = _words("BadDigest InvalidDigest XAmzContentSHA256Mismatch XAmzContentChecksumMismatch")
MISSING = _words("NoSuchKey NoSuchVersion NotFound 404")

# The most telling class of an exception's ancestors wins, so a parent here covers its children.
_TRANSIENT_CLASSES = _words(
    "ConnectionError HTTPClientError IncompleteReadError CapacityNotAvailableError ResponseParserError "
    "EndpointDiscoveryException HTTPError HTTPException OSError"
)
_CREDENTIAL_CLASSES = _words(
    "NoCredentialsError NoAuthTokenError TokenRetrievalError UnknownTokenProviderError LoginError "
    "PartialCredentialsError CredentialRetrievalError UnknownCredentialError SSOError "
    "RefreshWithMFAUnsupportedError MetadataRetrievalError InvalidIMDSEndpointError "
    "InvalidIMDSEndpointModeError"
)
_CHECKSUM_CLASSES = _words("ChecksumError FlexibleChecksumError")
_SETTING_CLASSES = _words(
    "UnknownRegionError ServiceNotInRegionError BaseEndpointResolverError ProfileNotFound ConfigParseError "
    "ConfigNotFound InvalidRegionError InvalidDNSNameError InvalidS3AddressingStyleError "
    "InvalidHostLabelError UnsupportedS3ArnError UnsupportedS3ControlArnError "
    "UnsupportedOutpostResourceError UnsupportedS3ConfigurationError "
    "UnsupportedS3AccesspointConfigurationError UnsupportedS3ControlConfigurationError "
    "InvalidEndpointDiscoveryConfigurationError "
    "InvalidRetryConfigurationError InvalidS3UsEast1RegionalEndpointConfigError "
    "InvalidSTSRegionalEndpointsConfigError InvalidConfigError InvalidProxiesConfigError InvalidDefaultsMode "
    "InvalidEndpointConfigurationError EndpointProviderError InvalidChecksumConfigError "
    "MissingDependencyException UnknownSignatureVersionError UnsupportedSignatureVersionError "
    "MD5UnavailableError ParamValidationError"
)
# Calls botocore does not know, stubs, waiters: only a fault of this program or installation raises them.
_FAULT_CLASSES = _words(
    "DataNotFoundError ApiVersionNotFoundError MissingParametersError ValidationError UnknownServiceStyle "
    "PaginationError OperationNotPageableError UnseekableStreamError WaiterError InvalidExpressionError "
    "WaiterConfigError UnknownClientMethodError StubResponseError UndefinedModelAttributeError "
    "AwsChunkedWrapperError UnsupportedServiceProtocolsError Boto3Error ValueError"
)
KNOWN_CLASSES = (
    _TRANSIENT_CLASSES | _CREDENTIAL_CLASSES | _CHECKSUM_CLASSES | _SETTING_CLASSES | _FAULT_CLASSES
)


def from_class(error: BaseException, what: str) -> MediapipeError:
    """Return our error for an exception that is no answer of S3 (connection, credentials, settings)."""
    text = f"{what}: {quote_body(str(error))}"
    for name in (cls.__name__ for cls in type(error).__mro__):
        if name == "SSLError" and "CERTIFICATE_VERIFY_FAILED" in str(error):
            return UsageError(text, hint="the store's certificate is not trusted; AWS_CA_BUNDLE names more")
        if name in _CREDENTIAL_CLASSES:
            return CredentialsError(text, hint="set AWS_PROFILE, or AWS_ACCESS_KEY_ID and its secret")
        if name in _CHECKSUM_CLASSES:
            return Failed(text, code="checksum")
        if name in _SETTING_CLASSES:
            return UsageError(text, hint="see the AWS_* settings and [store]")
        if name in _TRANSIENT_CLASSES:
            return Transient(text)
    return Failed(text, code="store")


def from_answer(response: Mapping[str, Any], what: str) -> MediapipeError:
    """Return our error for an error answer of S3, as botocore's ``ClientError.response`` holds it."""
    error = response.get("Error", {})
    meta = response.get("ResponseMetadata", {})
    code, status = str(error.get("Code", "")).rpartition(".")[2], int(meta.get("HTTPStatusCode", 0))
    text = f"{what}: {code or status}: {quote_body(str(error.get('Message', '')))}"
    if code in THROTTLED or status == 429:
        return Throttled(text, retry_after=retry_after(meta.get("HTTPHeaders", {})))
    if code == "NotImplemented":
        return UnsafeDestination(f"{text}: the store lacks conditional writes or another feature asked for")
    if code in PASSING or status >= 500:
        return Transient(text, retry_after=retry_after(meta.get("HTTPHeaders", {})))
    if code in DAMAGED:  # on the way: whoever sent them has looked at what left here
        return Transient(text, code="checksum", retry_after=retry_after(meta.get("HTTPHeaders", {})))
    if code == "NoSuchBucket":
        return UsageError(text, hint="create the bucket first; its name or the endpoint may be wrong")
    if code == "InvalidObjectState":  # a 403, but not for want of permission
        return Failed(text, code="frozen", hint="restore the object from its cold storage class first")
    if code in REFUSED or status in {401, 403}:
        return CredentialsError(text, hint="needed: s3:GetObject, s3:PutObject, s3:ListBucket of this bucket")
    if code in {"EntityTooLarge", "KeyTooLongError", "MetadataTooLarge"}:
        return Failed(text, code="store")
    if code in {"400", "BadRequest", ""} and status == 400:
        # An answer to HEAD has no body, so nothing says which of the two it is.
        return CredentialsError(text, hint="an expired token, or another region than the bucket's")
    if status in {301, 307, 400, 405, 409}:
        return UsageError(text, hint="see the AWS_* settings and [store]")
    return Failed(text, code="store")
